/** The OCSF categories of our classes, by `category_uid`. Source: https://schema.ocsf.io/1.8.0/categories */
export const eventCategories = {
  0: 'Uncategorized',
  1: 'System Activity',
  2: 'Findings',
  4: 'Network Activity',
  5: 'Discovery',
  6: 'Application Activity',
} as const;

/** The attributes of every class. A class whose own line names one of them again has the say. */
export const commonAttributes = `
  !class_uid class_name !category_uid category_name !activity_id activity_name !type_uid type_name !severity_id severity
  !time start_time end_time duration count ?timezone_offset ?message ?status_id ?status ?status_code ?status_detail
  !metadata ?observables enrichments raw_data raw_data_size raw_data_hash unmapped`;

const network = `
  app_name app_protocol_name+1.8 ?src_endpoint ?dst_endpoint ?proxy network_observation_point+1.8 observation_point
  observation_point_id cumulative_traffic tls ja4_fingerprint_list packet_list+1.8`;

/**
 * Our classes, by `class_uid`: the schema's name for it, its caption, its category, its activities (in the notation of
 * `parseEnum`), and its attributes beside the common ones and those of its profiles. An attribute of a profile that
 * stands in the class's own line is the class's own: it may be used without the profile.
 *
 * 1008 is spelt so in the schema. Its attributes are those of the schema's sources; no JSON Schema of it is at hand.
 * Source: https://schema.ocsf.io/1.8.0/classes
 */
export const eventClasses = {
  0: {
    name: 'base_event',
    caption: 'Base Event',
    category: 0,
    activities: '0 Unknown | 99 Other',
    attributes: '',
  },
  1007: {
    name: 'process_activity',
    caption: 'Process Activity',
    category: 1,
    activities: '0 Unknown | 1 Launch | 2 Terminate | 3 Open | 4 Inject | 5 Set User ID | 99 Other',
    attributes: `
      !actor !device !process ?exit_code ?launch_type ?launch_type_id ?injection_type ?injection_type_id
      ?requested_permissions ?actual_permissions ?module`,
  },
  1008: {
    name: 'event_log_actvity',
    caption: 'Event Log Activity',
    category: 1,
    activities: `
      0 Unknown | 1 Clear | 2 Delete | 3 Export | 4 Archive | 5 Rotate | 6 Start | 7 Stop | 8 Restart | 9 Enable |
      10 Disable | 99 Other`,
    attributes: `
      log_name|log_provider|log_type|log_type_id
      ?actor ?device ?src_endpoint ?dst_endpoint ?file ?log_name ?log_provider ?log_type ?log_type_id`,
  },
  2004: {
    name: 'detection_finding',
    caption: 'Detection Finding',
    category: 2,
    activities: '0 Unknown | 1 Create | 2 Update | 3 Close | 99 Other',
    attributes: `
      !finding_info ?evidences ?resources device confidence ?confidence_id confidence_score ?is_alert impact impact_id
      impact_score risk_details risk_level risk_level_id risk_score malware malware_scan_info vulnerabilities remediation
      anomaly_analyses vendor_attributes comment status`,
  },
  4001: {
    name: 'network_activity',
    caption: 'Network Activity',
    category: 4,
    activities: '0 Unknown | 1 Open | 2 Close | 3 Reset | 4 Fail | 5 Refuse | 6 Traffic | 7 Listen | 99 Other',
    attributes: `
      dst_endpoint|src_endpoint
      ${network} ?connection_info ?traffic ?url ?is_src_dst_assignment_known initiator+1.9 ?initiator_id+1.9`,
  },
  4002: {
    name: 'http_activity',
    caption: 'HTTP Activity',
    category: 4,
    activities: `
      0 Unknown | 1 Connect | 2 Delete | 3 Get | 4 Head | 5 Options | 6 Post | 7 Put | 8 Trace | 9 Patch | 10..40+1.9 |
      99 Other`,
    attributes: `
      http_request|http_response
      ${network} ?connection_info ?traffic ?http_request ?http_response ?http_cookies ?http_status file`,
  },
  4003: {
    name: 'dns_activity',
    caption: 'DNS Activity',
    category: 4,
    activities: '0 Unknown | 1 Query | 2 Response | 6 Traffic | 99 Other',
    attributes: `
      dst_endpoint|src_endpoint
      ${network} connection_info traffic ?query ?answers ?rcode ?rcode_id ?query_time ?response_time opcode+1.9
      ?opcode_id+1.9 flags+1.9 ?flag_ids+1.9 ?transaction_id+1.9`,
  },
  5019: {
    name: 'device_config_state_change',
    caption: 'Device Config State Change',
    category: 5,
    activities: '0 Unknown | 1 Log | 2 Collect | 99 Other',
    attributes: `
      !device actor state ?state_id ?security_level ?security_level_id ?security_states ?prev_security_level
      ?prev_security_level_id ?prev_security_states`,
  },
  6002: {
    name: 'application_lifecycle',
    caption: 'Application Lifecycle',
    category: 6,
    activities: `
      0 Unknown | 1 Install | 2 Remove | 3 Start | 4 Stop | 5 Restart | 6 Enable | 7 Disable | 8 Update | 99 Other`,
    attributes: `
      app|application+1.9
      !app-1.9 app+1.9 ?application+1.9`,
  },
} as const;

/** A key of {@link eventClasses}, for example `4001`. */
export type EventClassUid = keyof typeof eventClasses;
