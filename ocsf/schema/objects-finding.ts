const d3fendEntry = 'name|uid ?name ?uid src_url';
const attackEntry = 'name|uid ?name ?uid src_url';

/**
 * The objects of controls and findings: rules, attacks, evidence, malware, vulnerabilities. The notation is that of
 * `notation.ts`. Source: https://schema.ocsf.io/1.8.0/objects
 */
export const findingObjects = {
  firewall_rule: `
    name|uid
    ?name ?uid type category condition desc duration match_details match_location rate_limit sensitivity version`,
  policy: `name|type|uid ?name type ?uid ?version ?is_applied desc group data`,
  rule: `name|uid ?name ?uid type category desc version`,
  attack: `tactic|technique|sub_technique ?tactic ?technique ?sub_technique ?version tactics mitigation`,
  tactic: attackEntry,
  technique: attackEntry,
  sub_technique: attackEntry,
  mitigation: `name|uid ?name ?uid src_url countermeasures`,
  d3fend: `d3f_tactic|d3f_technique ?d3f_tactic ?d3f_technique ?version`,
  d3f_tactic: d3fendEntry,
  d3f_technique: d3fendEntry,
  kill_chain_phase: `?phase !phase_id`,
  security_state: `state ?state_id`,

  finding_info: `
    !uid uid_alt ?title desc types traits tags src_url ?analytic related_analytics related_events related_events_count
    attacks attack_graph kill_chain data_sources product product_uid created_time modified_time first_seen_time
    last_seen_time`,
  analytic: `
    name|uid
    ?name ?uid type !type_id category desc algorithm state state_id version related_analytics`,
  trait: `name|uid ?name ?uid type category values`,
  related_event: `
    !uid ?type_uid type_name type title desc product product_uid severity ?severity_id status count attacks kill_chain
    observables traits tags created_time modified_time first_seen_time last_seen_time`,
  evidences: `
    actor|api|connection_info|data|database|databucket|device|dst_endpoint|email|file|process|query|src_endpoint|url|user|job|script|reg_key|reg_value|win_service
    ?actor ?process ?user ?device ?container ?file ?src_endpoint ?dst_endpoint ?connection_info ?url ?http_request
    ?http_response ?tls ?ja4_fingerprint_list ?query ?api ?email ?database ?databucket ?resources ?job ?script ?reg_key
    ?reg_value ?win_service data name uid verdict verdict_id`,
  resource_details: `
    name|uid
    ?name uid_alt:resource_uid_t ?uid:resource_uid_t type role ?role_id ?hostname ?ip ?owner group namespace criticality
    version data labels tags is_backed_up agent_list resource_relationship created_time modified_time`,
  database: `
    name|uid
    ?name ?uid ?type !type_id desc size groups embedding_model+1.8 created_time modified_time`,
  databucket: `
    name|uid
    ?name ?uid:resource_uid_t uid_alt:resource_uid_t ?type !type_id desc ?hostname ?ip ?owner file size group groups
    namespace criticality version data labels tags is_backed_up is_encrypted ?is_public encryption_details agent_list
    resource_relationship created_time modified_time`,
  graph: `
    name|uid
    ?name type ?uid desc !nodes edges is_directed query_language ?query_language_id`,
  node: `!uid ?name type desc data`,
  edge: `name|uid ?name ?uid !source !target ?relation is_directed data`,

  anomaly_analysis: `!analysis_targets !anomalies ?baselines`,
  analysis_target: `!name type`,
  anomaly: `!observation_parameter ?observation_type !observations ?observed_pattern`,
  baseline: `!observation_parameter ?observation_type !observations ?observed_pattern`,
  observation: `!value ?count ?timespan`,

  malware: `
    name|uid
    ?name ?uid !classification_ids classifications severity ?severity_id ?provider ?path:file_path_t files cves
    num_infected`,
  malware_scan_info: `
    name|uid
    ?name ?uid type !type_id start_time end_time num_files num_infected num_volumes size unique_malware_count`,
  vulnerability: `
    advisory^cve^cwe
    advisory ?cve ?cwe title desc category severity ?references remediation affected_code affected_packages packages
    dependency_chain exploit_last_seen_time exploit_ref_url exploit_requirement exploit_type first_seen_time
    last_seen_time fix_available fix_coverage fix_coverage_id is_exploit_available is_fix_available kb_article_list
    kb_articles related_vulnerabilities vendor_name`,
  advisory: `
    !uid ?title desc bulletin classification ?os product size src_url ?references related_cves related_cwes
    ?install_state ?install_state_id is_superseded avg_timespan ?created_time modified_time`,
  kb_article: `
    uid|src_url
    ?uid ?title bulletin classification ?os product ?severity size src_url ?install_state ?install_state_id
    is_superseded avg_timespan created_time`,
  cve: `
    !uid ?title desc ?type ?cvss epss cwe cwe_uid cwe_url related_cwes product ?references ?created_time modified_time`,
  cwe: `!uid caption src_url`,
  cvss: `!version !base_score ?overall_score ?depth severity vector_string metrics src_url ?vendor_name`,
  epss: `!score ?version percentile ?created_time`,
  remediation: `!desc references cis_controls kb_article_list kb_articles`,
  cis_control: `!name desc ?version`,
  affected_code: `!file ?start_line ?end_line ?start_column ?end_column owner ?rule remediation`,
  affected_package: `
    !name !version ?architecture vendor_name type ?type_id uid path:file_path_t purl cpe_name epoch release hash license
    license_url package_manager package_manager_url src_url fixed_in_version remediation`,
  package: `
    !name !version ?architecture vendor_name type ?type_id uid purl cpe_name epoch release hash license license_url
    package_manager package_manager_url src_url`,
  vendor_attributes: `severity severity_id`,
} as const;
