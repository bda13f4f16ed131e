/**
 * The objects that describe hosts, who acts on them, and how an event came about. The notation is that of `notation.ts`.
 * Source: https://schema.ocsf.io/1.8.0/objects
 */
export const hostObjects = {
  metadata: `
    !version !product uid sequence correlation_uid event_code profiles ?original_time original_event_uid
    ?log_name log_provider log_source log_format log_level log_version logged_time processed_time transmit_time
    modified_time is_truncated untruncated_size labels tags debug ?tenant_uid ?reporter loggers source type
    transformation_info_list total_queued_duration+1.8 extensions extension`,
  product: `name|uid ?name ?vendor_name ?version ?uid feature lang path cpe_name url_string`,
  feature: `name|uid ?name ?uid ?version`,
  extension: `name|uid ?name ?uid !version`,
  logger: `
    name|uid
    ?name ?uid ?device ?product ?log_name ?log_provider log_level log_format log_version version event_uid
    ?logged_time ?transmit_time is_truncated untruncated_size`,
  reporter: `hostname|ip|name|uid ?hostname ?ip ?name ?uid org`,
  transformation_info: `name|uid ?name uid ?time ?url_string lang product`,
  observable: `?name type !type_id value reputation event_uid type_uid`,
  enrichment: `!name !value !data ?type desc ?short_desc ?provider ?src_url ?created_time reputation`,
  reputation: `!base_score score !score_id ?provider`,
  fingerprint: `algorithm !algorithm_id !value:file_hash_t`,
  key_value_object: `value|values !name ?value ?values`,
  timespan: `
    duration|duration_days|duration_hours|duration_mins|duration_months|duration_secs|duration_weeks|duration_years|end_time|start_time
    ?duration ?duration_secs ?duration_mins ?duration_hours ?duration_days ?duration_weeks ?duration_months
    ?duration_years ?start_time ?end_time type ?type_id`,
  long_string: `!value is_truncated untruncated_size`,
  metric: `!name !value`,

  device: `
    ip|uid|name|hostname|instance_uid|interface_uid|interface_name
    ?uid ?hostname name ip mac mac_vendor+1.8 ?type !type_id os hypervisor image boot_uid boot_time desc domain
    ?instance_uid ?interface_name ?interface_uid network_interfaces subnet subnet_uid vlan_uid vpc_uid zone ?region
    location org ?owner groups pool+1.8 agent_list autoscale_uid uid_alt udid os_machine_uuid hw_info ?vendor_name model
    eid iccid imei imei_list meid created_time modified_time first_seen_time last_seen_time is_backed_up is_compliant
    is_managed is_mobile_account_active is_personal is_shared is_supervised is_trusted risk_level risk_level_id
    risk_score`,
  device_hw_info: `
    bios_date bios_manufacturer bios_ver chassis cpu_architecture cpu_architecture_id cpu_bits cpu_cores cpu_count
    cpu_speed cpu_type desktop_display gpu_count+1.8 gpu_info_list+1.8 keyboard_info ram_size serial_number uuid
    vendor_name`,
  display: `color_depth physical_height physical_orientation physical_width scale_factor`,
  gpu_info: `?model ?vendor_name cores bus_type bus_type_id ?vram_mode ?vram_mode_id ?vram_size`,
  keyboard_info: `function_keys ime keyboard_layout keyboard_subtype keyboard_type`,
  os: `
    !name type !type_id version build edition kernel_release cpu_bits cpe_name country lang sp_name sp_ver`,
  location: `
    city|country|postal_code|region
    ?city ?country region ?continent postal_code desc lat long coordinates geohash geodetic_altitude
    geodetic_vertical_accuracy horizontal_accuracy aerial_height pressure_altitude is_on_premises isp provider`,
  organization: `name|uid ?name ?uid ?ou_name ou_uid`,
  agent: `uid|name ?name ?uid uid_alt type ?type_id vendor_name version policies`,
  image: `!uid ?name path:file_path_t tag tags labels`,
  container: `
    uid|name
    ?uid ?name ?image ?hash ?size runtime orchestrator network_driver pod_uuid tag tags labels`,

  actor: `
    process|user|invoked_by|session|app_name|app_uid-1.9
    process|user|invoked_by|session|app_name|app_uid|application|iam_role+1.9
    ?process ?user session app_name app_uid invoked_by idp authorizations application+1.9 iam_role+1.9`,
  authorization: `?decision policy`,
  user: `
    account|name|uid
    ?name:username_t ?uid uid_alt type ?type_id full_name display_name domain email_addr forward_addr phone_number
    groups org account ldap_person ?has_mfa credential_uid programmatic_credentials risk_level risk_level_id risk_score`,
  account: `
    name|uid
    ?name ?uid type ?type_id labels tags is_disabled+1.8 is_locked+1.8 is_on_premises_sync_enabled+1.8`,
  group: `name|uid ?name ?uid uid_alt+1.8 type desc domain privileges`,
  ldap_person: `
    given_name surname display_name job_title department+1.8 cost_center employee_uid email_addrs phone_number
    office_location location manager labels tags ldap_cn ldap_dn hire_time leave_time last_login_time created_time
    modified_time deleted_time`,
  programmatic_credential: `!uid ?type last_used_time`,
  session: `
    ?uid uid_alt uuid ?created_time expiration_time expiration_reason count credential_uid ?issuer terminal ?is_remote
    is_mfa is_vpn`,
  idp: `
    name|uid
    ?name ?uid domain issuer fingerprint url_string protocol_name auth_factors has_mfa scim sso state state_id
    tenant_uid`,
  auth_factor: `
    ?factor_type !factor_type_id ?device ?provider ?is_hotp ?is_totp email_addr phone_number security_questions`,
  scim: `
    ?name ?uid uid_alt ?version vendor_name url_string protocol_name auth_protocol auth_protocol_id state state_id
    error_message rate_limit ?scim_group_schema ?scim_user_schema is_group_provisioning_enabled
    is_user_provisioning_enabled created_time modified_time last_run_time`,
  sso: `
    ?name ?uid vendor_name protocol_name auth_protocol auth_protocol_id ?certificate scopes duration_mins idle_timeout
    login_endpoint logout_endpoint metadata_endpoint created_time modified_time`,

  process: `
    pid|uid|cpid
    ?pid ?uid ?cpid ?name:process_name_t ?cmd_line path ?file ?user ?created_time terminated_time working_directory
    sandbox session ?parent_process ancestry lineage tid ptid integrity integrity_id loaded_modules
    environment_variables hosted_services xattributes`,
  process_entity: `
    cmd_line|name|path|pid|uid|cpid
    ?pid ?uid ?cpid ?name:process_name_t ?cmd_line path ?created_time`,
  environment_variable: `!name !value`,
  module: `
    load_type_id|function_name
    ?file ?base_address ?start_address load_type ?load_type_id ?function_name function_invocation ?type`,
  function_invocation: `parameters|return_value|error parameters return_value error`,
  parameter: `name|pre_value|post_value name pre_value post_value`,
  file: `
    !name:file_name_t ?path:file_path_t type !type_id ?ext parent_folder size ?hashes mime_type desc uid uri url version
    volume owner creator modifier accessor created_time modified_time accessed_time attributes xattributes
    security_descriptor confidentiality confidentiality_id drive_type drive_type_id encryption_details
    imported_symbols+1.8 signature signatures+1.8 company_name internal_name product tags is_deleted is_encrypted
    is_readonly is_system`,
  encryption_details: `algorithm ?algorithm_id key_length key_uid ?type`,
  digital_signature: `
    algorithm !algorithm_id ?certificate created_time developer_uid digest state state_id`,
  script: `
    !script_content type !type_id name uid parent_uid file ?hashes`,
  job: `
    !name ?cmd_line ?desc file user run_state ?run_state_id ?created_time ?last_run_time next_run_time`,
  win_service: `
    cmd_line|service_category_id|service_dependencies|service_error_control_id|service_start_name|service_start_type_id|service_type_id
    !name ?uid ?version ?cmd_line service_category ?service_category_id ?service_dependencies service_dll_file
    service_error_control ?service_error_control_id ?service_file ?service_start_name service_start_type
    ?service_start_type_id service_type ?service_type_id ?load_order_group hosting_process labels tags`,
  reg_key: `!path:reg_key_path_t security_descriptor modified_time is_system`,
  reg_value: `
    !name !path:reg_key_path_t type ?type_id data reg_binary_data reg_integer_data reg_string_data reg_string_list_data
    modified_time is_default is_system`,
} as const;
