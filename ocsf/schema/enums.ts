/**
 * The values of every enum and their captions. The key is the attribute's name or, where the name means different
 * things in different places, `holder.attribute` (the holder is a class or an object); the longer key is looked up
 * first. Beside `x_id` stands its caption in `x`, beside the list `x_ids` the list `xs`; {@link siblings} has the rest.
 *
 * The notation is that of `parseEnum` in `notation.ts`. Activities stand with their classes.
 * Source: OCSF 1.8.0 dictionary, https://schema.ocsf.io/1.8.0/dictionary
 */
export const enums = {
  action_id: '0 Unknown | 1 Allowed | 2 Denied | 3 Observed | 4 Modified | 99 Other',
  disposition_id: `
    0 Unknown | 1 Allowed | 2 Blocked | 3 Quarantined | 4 Isolated | 5 Deleted | 6 Dropped | 7 Custom Action | 8 Approved |
    9 Restored | 10 Exonerated | 11 Corrected | 12 Partially Corrected | 13 Uncorrected | 14 Delayed | 15 Detected |
    16 No Action | 17 Logged | 18 Tagged | 19 Alert | 20 Count | 21 Reset | 22 Captcha | 23 Challenge |
    24 Access Revoked | 25 Rejected | 26 Unauthorized | 27 Error | 99 Other`,
  severity_id: '0 Unknown | 1 Informational | 2 Low | 3 Medium | 4 High | 5 Critical | 6 Fatal | 99 Other',
  status_id: '0 Unknown | 1 Success | 2 Failure | 99 Other',
  'detection_finding.status_id':
    '0 Unknown | 1 New | 2 In Progress | 3 Suppressed | 4 Resolved | 5 Archived | 6 Deleted | 99 Other',
  confidence_id: '0 Unknown | 1 Low | 2 Medium | 3 High | 99 Other',
  risk_level_id: '0 Info | 1 Low | 2 Medium | 3 High | 4 Critical | 99 Other',
  impact_id: '0 Unknown | 1 Low | 2 Medium | 3 High | 4 Critical | 99 Other',
  priority_id: '0 Unknown | 1 Low | 2 Medium | 3 High | 4 Critical | 99 Other',
  verdict_id: `
    0 Unknown | 1 False Positive | 2 True Positive | 3 Disregard | 4 Suspicious | 5 Benign | 6 Test |
    7 Insufficient Data | 8 Security Risk | 9 Managed Externally | 10 Duplicate | 99 Other`,

  // The network.
  direction_id: '0 Unknown | 1 Inbound | 2 Outbound | 3 Lateral | 4 Local | 99 Other',
  boundary_id: `
    0 Unknown | 1 Localhost | 2 Internal | 3 External | 4 Same VPC | 5 Internet/VPC Gateway | 6 Virtual Private Gateway |
    7 Intra-region VPC | 8 Inter-region VPC | 9 Local Gateway | 10 Gateway VPC | 11 Internet Gateway | 99 Other`,
  protocol_ver_id: `
    0 Unknown | 4 Internet Protocol version 4 (IPv4) | 6 Internet Protocol version 6 (IPv6) | 99 Other`,
  observation_point_id: '0 Unknown | 1 Source | 2 Destination | 3 Neither | 4 Both | 99 Other',
  initiator_id: '0 Unknown | 1 Source Endpoint | 2 Destination Endpoint | 99 Other',
  network_scope_id: '0 Unknown | 1 Internal | 2 External | 99 Other',
  'network_interface.type_id': '0 Unknown | 1 Wired | 2 Wireless | 3 Mobile | 4 Tunnel | 99 Other',
  'http_request.http_method': `
    CONNECT Connect | DELETE Delete | GET Get | HEAD Head | OPTIONS Options | PATCH Patch | POST Post | PUT Put |
    TRACE Trace`,
  rcode_id: `
    0 NoError | 1 FormError | 2 ServError | 3 NXDomain | 4 NotImp | 5 Refused | 6 YXDomain | 7 YXRRSet | 8 NXRRSet |
    9 NotAuth | 10 NotZone | 11 DSOTYPENI | 16 BADSIG_VERS | 17 BADKEY | 18 BADTIME | 19 BADMODE | 20 BADNAME |
    21 BADALG | 22 BADTRUNC | 23 BADCOOKIE | 24 Unassigned | 25 Reserved | 99 Other`,
  opcode_id: '0 Query | 1 Inverse Query | 2 Status | 3 Reserved | 4 Notify | 5 Update | 6 DSO Message | 99 Other',
  flag_ids: `
    0 Unknown | 1 Authoritative Answer | 2 Truncated Response | 3 Recursion Desired | 4 Recursion Available |
    5 Authentic Data | 6 Checking Disabled | 99 Other`,
  'tls_extension.type_id': `
    0 server_name | 1 maximum_fragment_length | 5 status_request | 10 supported_groups | 13 signature_algorithms |
    14 use_srtp | 15 heartbeat | 16 application_layer_protocol_negotiation | 18 signed_certificate_timestamp |
    19 client_certificate_type | 20 server_certificate_type | 21 padding | 41 pre_shared_key | 42 early_data |
    43 supported_versions | 44 cookie | 45 psk_key_exchange_modes | 47 certificate_authorities | 48 oid_filters |
    49 post_handshake_auth | 50 signature_algorithms_cert | 51 key_share | 99 Other`,
  'ja4_fingerprint.type_id': `
    0 Unknown | 1 JA4 | 2 JA4Server | 3 JA4HTTP | 4 JA4Latency | 5 JA4X509 | 6 JA4SSH | 7 JA4TCP | 8 JA4TCPServer |
    9 JA4TCPScan | 99 Other`,
  'packet.encoding_id': '0 Unknown | 1 Base64 | 2 Hexadecimal | 3 URL Encoded | 99 Other',
  'packet.format_id': '0 Unknown | 1 PCAP | 2 PCAPNG | 3 Snoop | 4 ERF | 5 NetMon | 6 5Views | 99 Other',
  'packet.source_id': '0 Unknown | 1 Wire | 2 Stream | 3 Decoder | 4 TAP | 5 SPAN | 6 Endpoint | 7 Virtual | 99 Other',
  'url.category_ids': `
    0 Unknown | 1 Adult/Mature Content | 3 Pornography | 4 Sex Education | 5 Intimate Apparel/Swimsuit | 6 Nudity |
    7 Extreme | 9 Scam/Questionable/Illegal | 11 Gambling | 14 Violence/Hate/Racism | 15 Weapons | 16 Abortion |
    17 Hacking | 18 Phishing | 20 Entertainment | 21 Business/Economy | 22 Alternative Spirituality/Belief | 23 Alcohol |
    24 Tobacco | 25 Controlled Substances | 26 Child Pornography | 27 Education | 29 Charitable Organizations |
    30 Art/Culture | 31 Financial Services | 32 Brokerage/Trading | 33 Games | 34 Government/Legal | 35 Military |
    36 Political/Social Advocacy | 37 Health | 38 Technology/Internet | 40 Search Engines/Portals |
    43 Malicious Sources/Malnets | 44 Malicious Outbound Data/Botnets | 45 Job Search/Careers | 46 News/Media |
    47 Personals/Dating | 49 Reference | 50 Mixed Content/Potentially Adult | 51 Chat (IM)/SMS | 52 Email |
    53 Newsgroups/Forums | 54 Religion | 55 Social Networking | 56 File Storage/Sharing | 57 Remote Access Tools |
    58 Shopping | 59 Auctions | 60 Real Estate | 61 Society/Daily Living | 63 Personal Sites |
    64 Restaurants/Dining/Food | 65 Sports/Recreation | 66 Travel | 67 Vehicles | 68 Humor/Jokes | 71 Software Downloads |
    83 Peer-to-Peer (P2P) | 84 Audio/Video Clips | 85 Office/Business Applications | 86 Proxy Avoidance | 87 For Kids |
    88 Web Ads/Analytics | 89 Web Hosting | 90 Uncategorized | 92 Suspicious | 93 Sexual Expression | 95 Translation |
    96 Non-Viewable/Infrastructure | 97 Content Servers | 98 Placeholders | 99 Other | 101 Spam |
    102 Potentially Unwanted Software | 103 Dynamic DNS Host | 106 E-Card/Invitations | 107 Informational |
    108 Computer/Information Security | 109 Internet Connected Devices | 110 Internet Telephony | 111 Online Meetings |
    112 Media Sharing | 113 Radio/Audio Streams | 114 TV/Video Streams | 118 Piracy/Copyright Concerns | 121 Marijuana`,

  // Hosts, processes, files, users.
  'device.type_id': `
    0 Unknown | 1 Server | 2 Desktop | 3 Laptop | 4 Tablet | 5 Mobile | 6 Virtual | 7 IOT | 8 Browser | 9 Firewall |
    10 Switch | 11 Hub | 12 Router | 13 IDS | 14 IPS | 15 Load Balancer | 99 Other`,
  'network_endpoint.type_id': `
    0 Unknown | 1 Server | 2 Desktop | 3 Laptop | 4 Tablet | 5 Mobile | 6 Virtual | 7 IOT | 8 Browser | 9 Firewall |
    10 Switch | 11 Hub | 12 Router | 13 IDS | 14 IPS | 15 Load Balancer | 99 Other`,
  'network_proxy.type_id': `
    0 Unknown | 1 Server | 2 Desktop | 3 Laptop | 4 Tablet | 5 Mobile | 6 Virtual | 7 IOT | 8 Browser | 9 Firewall |
    10 Switch | 11 Hub | 12 Router | 13 IDS | 14 IPS | 15 Load Balancer | 99 Other`,
  'os.type_id': `
    0 Unknown | 99 Other | 100 Windows | 101 Windows Mobile | 200 Linux | 201 Android | 300 macOS | 301 iOS |
    302 iPadOS | 400 Solaris | 401 AIX | 402 HP-UX`,
  'agent.type_id': `
    0 Unknown | 1 Endpoint Detection and Response | 2 Data Loss Prevention | 3 Backup & Recovery |
    4 Performance Monitoring & Observability | 5 Vulnerability Management | 6 Log Forwarding |
    7 Mobile Device Management | 8 Configuration Management | 9 Remote Access | 99 Other`,
  cpu_architecture_id: '0 Unknown | 1 x86 | 2 ARM | 3 RISC-V | 99 Other',
  'gpu_info.bus_type_id':
    '0 Unknown | 1 Onboard | 2 PCIe x16 | 3 PCIe x8 | 4 MXM Type A | 5 MXM Type B | 6 M.2 | 7 CXL | 99 Other',
  vram_mode_id: '0 Unknown | 1 Shared | 2 Dedicated | 99 Other',
  launch_type_id: '0 Unknown | 1 Spawn | 2 Fork | 3 Exec | 99 Other',
  injection_type_id: '0 Unknown | 1 Remote Thread | 2 Load Library | 3 Queue APC | 99 Other',
  integrity_id: '0 Unknown | 1 Untrusted | 2 Low | 3 Medium | 4 High | 5 System | 6 Protected | 99 Other',
  load_type_id: '0 Unknown | 1 Standard | 2 Non Standard | 3 ShellCode | 4 Mapped | 5 NonStandard Backed | 99 Other',
  run_state_id: '0 Unknown | 1 Ready | 2 Queued | 3 Running | 4 Stopped | 99 Other',
  'script.type_id': `
    0 Unknown | 1 Windows Command Prompt | 2 PowerShell | 3 Python | 4 JavaScript | 5 VBScript | 6 Unix Shell | 7 VBA |
    99 Other`,
  service_category_id: '0 Unknown | 1 Kernel Mode | 2 User Mode | 99 Other',
  service_error_control_id: '0 Unknown | 1 Ignore | 2 Normal | 3 Severe | 4 Critical | 99 Other',
  service_start_type_id: '0 Unknown | 1 Boot | 2 System | 3 Auto | 4 Demand | 5 Disabled | 99 Other',
  service_type_id: '0 Unknown | 1 Kernel Driver | 2 File System Driver | 3 Own Process | 4 Share Process | 99 Other',
  'reg_value.type_id': `
    0 Unknown | 1 REG_BINARY | 2 REG_DWORD | 3 REG_DWORD_BIG_ENDIAN | 4 REG_EXPAND_SZ | 5 REG_LINK | 6 REG_MULTI_SZ |
    7 REG_NONE | 8 REG_QWORD | 9 REG_QWORD_LITTLE_ENDIAN | 10 REG_SZ | 99 Other`,
  'file.type_id': `
    0 Unknown | 1 Regular File | 2 Folder | 3 Character Device | 4 Block Device | 5 Local Socket | 6 Named Pipe |
    7 Symbolic Link | 8 Executable File | 99 Other`,
  confidentiality_id:
    '0 Unknown | 1 Not Confidential | 2 Confidential | 3 Secret | 4 Top Secret | 5 Private | 6 Restricted | 99 Other',
  drive_type_id: '0 Unknown | 1 Removable | 2 Fixed | 3 Remote | 4 CD-ROM | 5 RAM Disk | 99 Other',
  'user.type_id': '0 Unknown | 1 User | 2 Admin | 3 System | 4 Service | 99 Other',
  'account.type_id': `
    0 Unknown | 1 LDAP Account | 2 Windows Account | 3 AWS IAM User | 4 AWS IAM Role | 5 GCP Account |
    6 Azure AD Account | 7 Mac OS Account | 8 Apple Account | 9 Linux Account | 10 AWS Account | 11 GCP Project |
    12 OCI Compartment | 13 Azure Subscription | 14 Salesforce Account | 15 Google Workspace | 16 Servicenow Instance |
    17 M365 Tenant | 18 Email Account | 19+1.8 ActiveDirectory Account | 99 Other`,
  factor_type_id: `
    0 Unknown | 1 SMS | 2 Security Question | 3 Phone Call | 4 Biometric | 5 Push Notification | 6 Hardware Token |
    7 OTP | 8 Email | 9 U2F | 10 WebAuthn | 11 Password | 99 Other`,
  auth_protocol_id: `
    0 Unknown | 1 NTLM | 2 Kerberos | 3 Digest | 4 OpenID | 5 SAML | 6 OAUTH 2.0 | 7 PAP | 8 CHAP | 9 EAP | 10 RADIUS |
    11 Basic Authentication | 12 LDAP | 99 Other`,
  'idp.state_id': '0 Unknown | 1 Active | 2 Suspended | 3 Deprecated | 4 Deleted | 99 Other',
  'scim.state_id': '0 Unknown | 1 Pending | 2 Active | 3 Failed | 4 Deleted | 99 Other',
  'token.type_id': `
    0 Unknown | 1 Ticket Granting Ticket | 2 Service Ticket | 3 Identity Token | 4 Refresh Token | 5 SAML Assertion |
    6 Client Token | 7 API Token | 99 Other`,
  'fingerprint.algorithm_id': `
    0 Unknown | 1 MD5 | 2 SHA-1 | 3 SHA-256 | 4 SHA-512 | 5 CTPH | 6 TLSH | 7 quickXorHash | 8 SHA-224 | 9 SHA-384 |
    10 SHA-512/224 | 11 SHA-512/256 | 12 SHA3-224 | 13 SHA3-256 | 14 SHA3-384 | 15 SHA3-512 | 16 xxHash H3 64-bit |
    17 xxHash H3 128-bit | 18+1.8 Imphash | 19+1.8 NPF | 20+1.8 HASSH | 99 Other`,
  'encryption_details.algorithm_id': '0 Unknown | 1 DES | 2 TripleDES | 3 AES | 4 RSA | 5 ECC | 6 SM2 | 99 Other',
  'digital_signature.algorithm_id': '0 Unknown | 1 DSA | 2 RSA | 3 ECDSA | 4 Authenticode | 99 Other',
  'digital_signature.state_id': `
    0 Unknown | 1 Valid | 2 Expired | 3 Revoked | 4 Suspended | 5 Pending | 6 Untrusted | 7 Distrusted | 8 WrongUsage |
    9 Bad | 10 Broken | 99 Other`,
  log_type_id: '0 Unknown | 1 OS | 2 Application | 99 Other',

  // Findings and what they are made of.
  'analytic.type_id': `
    0 Unknown | 1 Rule | 2 Behavioral | 3 Statistical | 4 Learning (ML/DL) | 5 Fingerprinting | 6 Tagging |
    7 Keyword Match | 8 Regular Expressions | 9 Exact Data Match | 10 Partial Data Match | 11 Indexed Data Match |
    99 Other`,
  'analytic.state_id': '0 Unknown | 1 Active | 2 Suppressed | 3 Experimental | 99 Other',
  phase_id: `
    0 Unknown | 1 Reconnaissance | 2 Weaponization | 3 Delivery | 4 Exploitation | 5 Installation |
    6 Command & Control | 7 Actions on Objectives | 99 Other`,
  classification_ids: `
    0 Unknown | 1 Adware | 2 Backdoor | 3 Bot | 4 Bootkit | 5 DDOS | 6 Downloader | 7 Dropper | 8 Exploit-Kit |
    9 Keylogger | 10 Ransomware | 11 Remote-Access-Trojan | 13 Resource-Exploitation | 14 Rogue-Security-Software |
    15 Rootkit | 16 Screen-Capture | 17 Spyware | 18 Trojan | 19 Virus | 20 Webshell | 21 Wiper | 22 Worm | 99 Other`,
  'malware_scan_info.type_id': `
    0 Unknown | 1 Manual | 2 Scheduled | 3 Updated Content | 4 Quarantined Items | 5 Attached Media | 6 User Logon |
    7 ELAM | 99 Other`,
  score_id: `
    0 Unknown | 1 Very Safe | 2 Safe | 3 Probably Safe | 4 Leans Safe | 5 May not be Safe | 6 Exercise Caution |
    7 Suspicious/Risky | 8 Possibly Malicious | 9 Probably Malicious | 10 Malicious | 99 Other`,
  'cvss.depth': 'Base Base | Environmental Environmental | Temporal Temporal',
  fix_coverage_id: '0 Unknown | 1 Complete | 2 Partial | 3 None | 99 Other',
  install_state_id: '0 Unknown | 1 Installed | 2 Not Installed | 3 Installed Pending Reboot | 99 Other',
  'package.type_id': '0 Unknown | 1 Application | 2 Operating System | 99 Other',
  'affected_package.type_id': '0 Unknown | 1 Application | 2 Operating System | 99 Other',
  'database.type_id': `
    0 Unknown | 1 Relational | 2 Network | 3 Object Oriented | 4 Centralized | 5 Operational | 6 NoSQL | 7+1.8 Vector |
    8+1.8 Knowledge Graph | 99 Other`,
  'databucket.type_id': '0 Unknown | 1 S3 | 2 Azure Blob | 3 GCP Bucket | 99 Other',
  query_language_id: '0 Unknown | 1 Cypher | 2 GraphQL | 3 Gremlin | 4 GQL | 5 G-CORE | 6 PGQL | 7 SPARQL | 99 Other',
  role_id: '0 Unknown | 1 Target | 2 Actor | 3 Affected | 4 Related | 99 Other',
  'timespan.type_id': `
    0 Unknown | 1 Milliseconds | 2 Seconds | 3 Minutes | 4 Hours | 5 Days | 6 Weeks | 7 Months | 8 Years |
    9 Time Interval | 99 Other`,
  'device_config_state_change.state_id': '0 Unknown | 1 Disabled | 2 Enabled | 99 Other',
  security_level_id: '0 Unknown | 1 Secure | 2 At Risk | 3 Compromised | 99 Other',
  prev_security_level_id: '0 Unknown | 1 Secure | 2 At Risk | 3 Compromised | 99 Other',
  'security_state.state_id': `
    0 Unknown | 1 Missing or outdated content | 2 Policy mismatch | 3 In network quarantine | 4 Protection off |
    5 Protection malfunction | 6 Protection not licensed | 7 Unremediated threat | 8 Suspicious reputation |
    9 Reboot pending | 10 Content is locked | 11 Not installed | 12 Writable system partition | 13 SafetyNet failure |
    14 Failed boot verify | 15 Modified execution environment | 16 SELinux disabled | 17 Elevated privilege shell |
    18 iOS file system altered | 19 Open remote access | 20 OTA updates disabled | 21 Rooted |
    22 Android partition modified | 23 Compliance failure | 99 Other`,
  'observable.type_id': `
    0 Unknown | 1 Hostname | 2 IP Address | 3 MAC Address | 4 User Name | 5 Email Address | 6 URL String | 7 File Name |
    8 Hash | 9 Process Name | 10 Resource UID | 11 Port | 12 Subnet | 13 Command Line | 14 Country | 15 Process ID |
    16 HTTP User-Agent | 17 CWE Object: uid | 18 CVE Object: uid | 19 User Credential ID | 20 Endpoint | 21 User |
    22 Email | 23 Uniform Resource Locator | 24 File | 25 Process | 26 Geo Location | 27 Container | 28 Registry Key |
    29 Registry Value | 30 Fingerprint | 31 User Object: uid | 32 Group Object: name | 33 Group Object: uid |
    34 Account Object: name | 35 Account Object: uid | 36 Script Content | 37 Serial Number |
    38 Resource Details Object: name | 39 Process Entity Object: uid | 40 Email Object: subject | 41 Email Object: uid |
    42 Message UID | 43 Registry Value Object: name | 44 Advisory Object: uid | 45 File Path | 46 Registry Key Path |
    47 Device Object: uid | 48 Network Endpoint Object: uid | 49..50+1.9 | 99 Other`,
} as const;

/** A key of {@link enums}, for example `severity_id` or `device.type_id`. */
export type EnumKey = keyof typeof enums;

/**
 * The captions that do not stand where the rule says, or nowhere: the schema ties no text to an opcode. A type name
 * follows from class and activity: it has no enum.
 */
export const siblings: Readonly<Record<string, string | undefined>> = {
  activity_id: 'activity_name',
  category_uid: 'category_name',
  class_uid: 'class_name',
  type_uid: 'type_name',
  category_ids: 'categories',
  opcode_id: undefined,
};

/** The observables that stand for a whole object, and so have no value. */
export const objectObservables: ReadonlySet<number> = new Set([20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
