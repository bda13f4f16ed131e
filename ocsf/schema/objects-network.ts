const endpoint = `
  ip|uid|name|hostname|svc_name|instance_uid|interface_uid|interface_name|domain
  ?ip ?port ?hostname ?name ?uid ?svc_name domain ?instance_uid ?interface_name ?interface_uid type ?type_id
  mac mac_vendor+1.8 subnet_uid vlan_uid vpc_uid zone network_scope network_scope_id intermediate_ips location
  isp isp_org autonomous_system os hw_info ?owner agent_list pool+1.8 fingerprints+1.8 proxy_endpoint`;

/**
 * The objects that describe traffic and what was asked over it. The notation is that of `notation.ts`.
 * Source: https://schema.ocsf.io/1.8.0/objects
 */
export const networkObjects = {
  network_endpoint: endpoint,
  network_proxy: endpoint,
  network_connection_info: `
    direction !direction_id boundary ?boundary_id ?protocol_name ?protocol_num protocol_ver ?protocol_ver_id tcp_flags
    flag_history ?uid community_uid session`,
  network_traffic: `
    ?bytes bytes_in bytes_out bytes_missed ?packets packets_in packets_out chunks chunks_in chunks_out start_time
    end_time timespan`,
  network_interface: `
    ip|mac|name|hostname|uid
    ?ip ?mac ?name ?hostname uid namespace subnet_prefix open_ports type ?type_id`,
  port_info: `!port protocol_num ?protocol_name`,
  autonomous_system: `number|name ?number ?name`,
  packet: `
    !value encoding ?encoding_id format ?format_id source ?source_id sequence_number start_offset end_offset`,

  url: `
    url_string|path
    ?url_string ?scheme ?hostname ?port ?path ?query_string domain subdomain resource_type categories ?category_ids`,
  http_request: `
    ?http_method ?url ?version ?user_agent ?http_headers referrer args length body_length uid x_forwarded_for`,
  http_response: `!code message status ?http_headers content_type length body_length latency`,
  http_header: `!name !value`,
  http_cookie: `!name !value domain path expiration_time samesite is_http_only is_secure http_only secure`,
  dns_query: `!hostname ?type ?class opcode ?opcode_id ?packet_uid`,
  dns_answer: `!rdata ?type ?class ?ttl ?flag_ids flags ?packet_uid`,
  tls: `
    !version ?cipher ?sni ?ja3_hash ?ja3s_hash ?certificate ?certificate_chain ?client_ciphers server_ciphers
    handshake_dur key_length alert sans tls_extension_list extension_list`,
  tls_extension: `type !type_id ?data`,
  ja4_fingerprint: `type !type_id !value section_a section_b section_c section_d`,
  certificate: `
    !issuer !serial_number ?subject ?version ?created_time ?expiration_time ?fingerprints ?is_self_signed sans uid`,
  san: `!name !type`,

  api: `!operation ?request ?response service group version token+1.8`,
  request: `!uid flags data containers`,
  response: `?code ?message ?error ?error_message flags data containers`,
  service: `name|uid ?name ?uid ?version labels tags`,
  token: `?type ?type_id uid name ?created_time modified_time expiration_time is_renewable tenant_uid zone`,
  email: `
    from|to
    ?from from_list ?to cc ?subject ?uid ?message_uid ?size sender return_path ?reply_to reply_to_list delivered_to
    delivered_to_list ?smtp_from ?smtp_to from_mailbox from_mailboxes sender_mailbox to_mailboxes cc_mailboxes
    reply_to_mailboxes x_originating_ip http_headers raw_header files urls is_read`,
} as const;
