# Cloud Armor before every function. The first rule that matches decides, a throttle that lets pass
# included, so what refuses comes before what counts. Thresholds count for each backend service.
#
# It sees the first kilobytes of a body and is no substitute for what the functions check themselves;
# its use is that floods and scanners cost us nothing.
locals {
  # Core Rule Set 3.3. Level 1, the rules that are surest of themselves: our bodies are what
  # people write about illness, and "select the left or the right arm" must reach a doctor.
  firewall_rules = {
    sqli             = 1000
    xss              = 1010
    lfi              = 1020
    rfi              = 1030
    rce              = 1040
    protocolattack   = 1050
    scannerdetection = 1060
    sessionfixation  = 1070
  }

  # Sound and images are no text, and would only be mistaken for attacks. What is in them is
  # checked where they are read. The multipart upload and the live stream are such bodies.
  is_file = "request.path.matches('^(/v1)?/[a-z-]+/(upload|stream)$')"

  is_sign_in = "request.path.matches('^(/v1)?/(login|register|refresh-token|password-reset)$')"
}

resource "google_compute_security_policy" "api" {
  #checkov:skip=CKV_GCP_73:Log4j is Java's; nothing behind this is
  name = "api"
  type = "CLOUD_ARMOR"

  adaptive_protection_config {
    layer_7_ddos_defense_config {
      enable = true # tells of floods, and suggests a rule; it refuses nothing by itself
    }
  }

  advanced_options_config {
    json_parsing = "STANDARD" # a value is looked at as a value, not the braces around it
    json_custom_config {
      content_types = ["application/json"]
    }
    log_level = "NORMAL" # the other one logs what was sent
  }

  dynamic "rule" {
    for_each = local.firewall_rules
    content {
      priority    = rule.value
      action      = "deny(403)"
      preview     = var.is_firewall_preview
      description = "Preconfigured: ${rule.key}"
      match {
        expr {
          expression = "evaluatePreconfiguredWaf('${rule.key}-v33-stable', {'sensitivity': 1}) && !${local.is_file}"
        }
      }
    }
  }

  # Guesses at passwords, and accounts made by the thousand. The functions count too, by account.
  rule {
    priority    = 2000
    action      = "throttle"
    description = "Sign-in, per address"
    match {
      expr {
        expression = local.is_sign_in
      }
    }
    rate_limit_options {
      enforce_on_key = "IP"
      conform_action = "allow"
      exceed_action  = "deny(429)"
      rate_limit_threshold {
        count        = var.requests_per_minute.sign_in
        interval_sec = 60
      }
    }
  }

  # Behind a hospital's address there are hundreds of people. Each is counted by the functions
  # (common/limits.py), which know who it is: Armor takes no more than 128 bytes of a header for a key,
  # and those are the same in all ID tokens that were signed with one key.
  rule {
    priority    = 2010
    action      = "throttle"
    description = "With a token, per address"
    match {
      expr {
        expression = "has(request.headers['authorization'])"
      }
    }
    rate_limit_options {
      enforce_on_key = "IP"
      conform_action = "allow"
      exceed_action  = "deny(429)"
      rate_limit_threshold {
        count        = var.requests_per_minute.token
        interval_sec = 60
      }
    }
  }

  rule {
    priority    = 2020
    action      = "throttle"
    description = "Without a token, per address"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      enforce_on_key = "IP"
      conform_action = "allow"
      exceed_action  = "deny(429)"
      rate_limit_threshold {
        count        = var.requests_per_minute.address
        interval_sec = 60
      }
    }
  }

  # The API asks for a rule that matches all that is left.
  rule {
    priority    = 2147483647
    action      = "allow"
    description = "Default"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }

  depends_on = [google_project_service.enabled]
}
