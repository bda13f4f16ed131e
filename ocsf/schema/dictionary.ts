/**
 * The type of every attribute, by type: an attribute is of one type wherever it stands, but for the few of which an
 * object says otherwise in its own line (`name:username_t`). `[]` after a type means a list of it.
 *
 * Not listed are attributes that bear the name of their object (`device` is a `device`), and the `…_dt` text beside
 * each timestamp. `object` is any JSON object. What is listed as `object` or `object[]` under the comment below are
 * objects of profiles that we know by name alone.
 * Source: OCSF 1.8.0 dictionary, https://schema.ocsf.io/1.8.0/dictionary
 */
export const dictionary = {
  boolean_t: `
    fix_available has_mfa http_only secure
    is_alert is_applied is_backed_up is_compliant is_default is_deleted is_directed is_disabled is_encrypted
    is_exploit_available is_fix_available is_group_provisioning_enabled is_hotp is_http_only is_locked is_managed is_mfa
    is_mobile_account_active is_on_premises is_on_premises_sync_enabled is_personal is_public is_read is_readonly
    is_remote is_renewable is_secure is_self_signed is_shared is_src_dst_assignment_known is_superseded is_supervised
    is_suspected_breach is_system is_totp is_truncated is_trusted is_user_provisioning_enabled is_vpn`,
  bytestring_t: `reg_binary_data`,
  email_t: `delivered_to email_addr forward_addr from reply_to return_path sender smtp_from`,
  'email_t[]': `cc delivered_to_list email_addrs from_list from_mailboxes reply_to_list smtp_to to`,
  'file_path_t[]': `lineage`,
  float_t: `base_score lat long overall_score percentile`,
  'float_t[]': `coordinates`,
  hostname_t: `hostname`,
  integer_t: `
    action_id activity_id algorithm_id auth_protocol_id boundary_id bus_type_id category_uid class_uid confidence_id
    confidentiality_id cpu_architecture_id direction_id disposition_id drive_type_id encoding_id factor_type_id
    fix_coverage_id format_id impact_id initiator_id injection_type_id install_state_id integrity_id launch_type_id
    load_type_id log_type_id network_scope_id observation_point_id opcode_id phase_id prev_security_level_id priority_id
    protocol_ver_id query_language_id rcode_id risk_level_id role_id run_state_id score_id security_level_id
    service_category_id service_error_control_id service_start_type_id service_type_id severity_id source_id state_id
    status_id type_id verdict_id vram_mode_id
    actual_permissions alert attributes auid body_length code color_depth confidence_score cores count cpu_bits
    cpu_cores cpu_count cpu_speed duration_days duration_hours duration_mins duration_months duration_secs
    duration_weeks duration_years egid end_column end_line epoch euid exit_code function_keys gpu_count handshake_dur
    http_status idle_timeout impact_score key_length keyboard_subtype latency length namespace_pid num_files
    num_infected num_volumes number packet_uid physical_height physical_orientation physical_width pid protocol_num
    ram_size rate_limit related_events_count requested_permissions risk_score scale_factor sequence sp_ver start_column
    start_line subnet_prefix tcp_flags tid timezone_offset ttl unique_malware_count untruncated_size vram_size`,
  'integer_t[]': `category_ids classification_ids flag_ids`,
  ip_t: `ip`,
  'ip_t[]': `intermediate_ips x_forwarded_for x_originating_ip`,
  json_t: `data scim_group_schema scim_user_schema transaction_id`,
  long_t: `
    bytes bytes_in bytes_missed bytes_out chunks chunks_in chunks_out packets packets_in packets_out
    duration end_offset ptid raw_data_size reg_integer_data sequence_number size start_offset type_uid`,
  mac_t: `mac`,
  port_t: `port`,
  string_t: `
    action activity_name aerial_height algorithm app_name app_protocol_name app_uid architecture args auth_protocol
    autoscale_uid base_address bios_date bios_manufacturer bios_ver boot_uid boundary build bulletin bus_type caption
    category category_name chassis cipher city class class_name classification cmd_line comment community_uid
    company_name condition confidence confidentiality content_type continent correlation_uid cost_center country cpe_name
    cpu_architecture cpu_type credential_uid criticality cwe_uid decision department dependency_chain depth desc
    developer_uid direction display_name disposition domain drive_type edition eid embedding_model employee_uid encoding
    error error_message event_code event_uid expiration_reason exploit_requirement exploit_type ext factor_type
    fix_coverage fixed_in_version flag_history format from_mailbox full_name function_name geodetic_altitude
    geodetic_vertical_accuracy geohash given_name horizontal_accuracy http_method hypervisor iccid ime imei impact
    initiator injection_type install_state instance_uid integrity interface_name interface_uid internal_name invoked_by
    isp isp_org issuer job_title kernel_release key_uid keyboard_layout keyboard_type lang launch_type ldap_cn ldap_dn
    license load_order_group load_type log_format log_level log_name log_provider log_source log_type log_version
    mac_vendor match_location meid message message_uid mime_type model name namespace network_driver network_scope
    observation_parameter observation_point observation_type observed_pattern office_location opcode operation
    orchestrator original_event_uid original_time ou_name ou_uid package_manager parent_folder parent_uid path phase
    phone_number post_value postal_code pre_value pressure_altitude prev_security_level priority product_uid
    protocol_name protocol_ver provider purl query_language query_string raw_data raw_header rcode rdata referrer
    reg_string_data region relation release resource_type return_value risk_details risk_level role run_state runtime
    samesite sandbox scheme score section_a section_b section_c section_d security_descriptor security_level
    sender_mailbox sensitivity serial_number service_category service_error_control service_start_name
    service_start_type service_type severity short_desc sni source sp_name start_address state status status_code
    status_detail subdomain subject subnet_uid surname svc_name tag target tenant_uid terminal title type type_name udid
    uid uid_alt user_agent value vector_string vendor_name verdict version vlan_uid volume vpc_uid vram_mode
    working_directory zone`,
  'string_t[]': `
    categories cc_mailboxes certificate_chain classifications client_ciphers data_sources debug flags imei_list
    imported_symbols kb_articles labels loaded_modules match_details privileges profiles references reg_string_list_data
    related_vulnerabilities reply_to_mailboxes scopes security_questions server_ciphers service_dependencies to_mailboxes
    types values`,
  subnet_t: `subnet`,
  timestamp_t: `
    accessed_time boot_time created_time deleted_time end_time expiration_time exploit_last_seen_time first_seen_time
    hire_time last_login_time last_run_time last_seen_time last_used_time leave_time logged_time modified_time
    next_run_time processed_time query_time response_time start_time terminated_time time transmit_time`,
  url_t: `
    cwe_url exploit_ref_url license_url login_endpoint logout_endpoint metadata_endpoint package_manager_url src_url uri
    url_string`,
  uuid_t: `cpid os_machine_uuid pod_uuid uuid`,

  object: `
    unmapped xattributes
    ai_model application cloud iam_role load_balancer message_context ticket trace`,
  'object[]': `attestation_list osint tickets`,

  'affected_code[]': `affected_code`,
  'affected_package[]': `affected_packages`,
  'agent[]': `agent_list`,
  'analysis_target[]': `analysis_targets`,
  'analytic[]': `related_analytics`,
  'anomaly[]': `anomalies`,
  'anomaly_analysis[]': `anomaly_analyses`,
  'attack[]': `attacks`,
  'auth_factor[]': `auth_factors`,
  'authorization[]': `authorizations`,
  'baseline[]': `baselines`,
  'cis_control[]': `cis_controls`,
  'container[]': `containers`,
  'cve[]': `cves related_cves`,
  'cvss[]': `cvss`,
  'cwe[]': `related_cwes`,
  'd3fend[]': `countermeasures`,
  device_hw_info: `hw_info`,
  digital_signature: `signature`,
  'digital_signature[]': `signatures`,
  display: `desktop_display`,
  'dns_answer[]': `answers`,
  dns_query: `query`,
  'edge[]': `edges`,
  'enrichment[]': `enrichments`,
  'environment_variable[]': `environment_variables`,
  'evidences[]': `evidences`,
  'extension[]': `extensions`,
  file: `service_dll_file service_file`,
  'file[]': `files`,
  fingerprint: `digest hash ja3_hash ja3s_hash raw_data_hash`,
  'fingerprint[]': `fingerprints hashes`,
  'gpu_info[]': `gpu_info_list`,
  graph: `attack_graph resource_relationship`,
  group: `assignee_group pool`,
  'group[]': `groups`,
  'http_cookie[]': `http_cookies`,
  'http_header[]': `http_headers`,
  http_request: `proxy_http_request`,
  http_response: `proxy_http_response`,
  'ja4_fingerprint[]': `ja4_fingerprint_list`,
  'kb_article[]': `kb_article_list`,
  'key_value_object[]': `tags`,
  'kill_chain_phase[]': `kill_chain`,
  'logger[]': `loggers`,
  long_string: `script_content`,
  'malware[]': `malware`,
  'metric[]': `metrics`,
  network_connection_info: `connection_info proxy_connection_info`,
  network_endpoint: `dst_endpoint network_observation_point src_endpoint`,
  'network_interface[]': `network_interfaces`,
  network_proxy: `proxy proxy_endpoint`,
  network_traffic: `cumulative_traffic proxy_traffic traffic`,
  'node[]': `nodes`,
  'observable[]': `observables`,
  'observation[]': `observations`,
  organization: `org`,
  'package[]': `packages`,
  'packet[]': `packet_list`,
  'parameter[]': `parameters`,
  'policy[]': `policies`,
  'port_info[]': `open_ports`,
  process: `parent_process`,
  process_entity: `hosting_process`,
  'process_entity[]': `ancestry`,
  product: `app`,
  'programmatic_credential[]': `programmatic_credentials`,
  'related_event[]': `related_events`,
  'resource_details[]': `resources`,
  'san[]': `sans`,
  'security_state[]': `prev_security_states security_states`,
  'tactic[]': `tactics`,
  timespan: `avg_timespan total_queued_duration`,
  tls: `proxy_tls`,
  'tls_extension[]': `extension_list tls_extension_list`,
  'trait[]': `traits`,
  'transformation_info[]': `transformation_info_list`,
  'url[]': `urls`,
  user: `accessor assignee creator manager modifier owner`,
  'vulnerability[]': `vulnerabilities`,
  'win_service[]': `hosted_services`,
} as const;
