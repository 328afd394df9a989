# Whether the API answers from outside, through DNS, certificate, load balancer and firewall, and
# what share of requests goes well over four weeks. One of each for every http function.

locals {
  # Three is the least that Cloud Monitoring takes; more only costs more.
  checked_from = ["USA_VIRGINIA", "EUROPE", "ASIA_PACIFIC"]
}

resource "google_monitoring_uptime_check_config" "http" {
  for_each           = local.http
  display_name       = "health of ${each.key}"
  period             = "300s"
  timeout            = "10s" # a cold start fits
  selected_regions   = local.checked_from
  checker_type       = "STATIC_IP_CHECKERS"
  log_check_failures = true
  user_labels        = local.labels

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project_id
      host       = var.domain
    }
  }

  http_check {
    path           = "/v1/health/${each.key}"
    port           = 443
    use_ssl        = true
    validate_ssl   = true
    request_method = "GET"
    accepted_response_status_codes {
      status_class = "STATUS_CLASS_2XX" # an unhealthy one answers 503
    }
  }

  # `degraded` is an outside service, which has an alarm of its own. Whether the quotes of the JSON
  # string count is not documented for expressions, so either is taken.
  content_matchers {
    content = "^\"?(healthy|degraded)\"?$"
    matcher = "MATCHES_JSON_PATH"
    json_path_matcher {
      json_path    = "$.status"
      json_matcher = "REGEX_MATCH"
    }
  }

  depends_on = [google_project_service.enabled]
}

resource "google_monitoring_alert_policy" "uptime" {
  for_each              = local.http
  display_name          = "${each.key} does not answer from outside"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels
  user_labels           = merge(local.labels, { alarm = "uptime" })

  conditions {
    display_name = "from two places or more"
    condition_threshold {
      filter          = "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND resource.type=\"uptime_url\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.http[each.key].uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "60s"
      aggregations {
        alignment_period     = "1200s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }
      trigger {
        count = 1
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    mime_type = "text/markdown"
    content = join("\n\n", [
      "https://${var.domain}/v1/health/${each.key} does not answer, or not as it should, from at least two of three continents.",
      join("\n", [
        "1. Ask it yourself with `curl -i`. All functions at once is DNS, the certificate or the load balancer; one is the function.",
        "2. A 503 that says `unhealthy` is Firestore: see https://status.cloud.google.com. A 403 is Cloud Armor: was a rule changed?",
        "3. Compare with the last deployment, and go back to the revision before if they coincide.",
      ]),
      "Runbook: ${var.runbook}",
    ])
  }
}

# ---------------------------------------------------------------- objectives

resource "google_monitoring_custom_service" "http" {
  for_each     = local.http
  service_id   = local.services[each.key]
  display_name = each.key
  user_labels  = local.labels

  depends_on = [google_project_service.enabled]
}

resource "google_monitoring_slo" "availability" {
  for_each            = local.http
  service             = google_monitoring_custom_service.http[each.key].service_id
  slo_id              = "availability"
  display_name        = "${each.key}: ${format("%.1f", 100 * local.availability_goal)} % not answered 5xx"
  goal                = local.availability_goal
  rolling_period_days = 28 # whole weeks, so that weekends weigh the same in each

  request_based_sli {
    good_total_ratio {
      total_service_filter = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${local.services[each.key]}\""
      bad_service_filter   = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${local.services[each.key]}\" AND metric.labels.response_code_class=\"5xx\""
    }
  }
}

# Of our own metric, which leaves out what lasts as long as a consultation.
resource "google_monitoring_slo" "latency" {
  for_each            = local.http
  service             = google_monitoring_custom_service.http[each.key].service_id
  slo_id              = "latency"
  display_name        = "${each.key}: ${floor(100 * local.latency_goal)} % within ${local.latency_ms.p95} ms"
  goal                = local.latency_goal
  rolling_period_days = 28

  request_based_sli {
    distribution_cut {
      distribution_filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["request_latency"].name}\" AND resource.type=\"cloud_run_revision\" AND metric.labels.function=\"${each.key}\""
      range {
        max = local.latency_ms.p95 # a bound of the metric's buckets, so that nothing is interpolated
      }
    }
  }

  lifecycle {
    precondition {
      condition     = contains(local.metrics.request_latency.bounds, local.latency_ms.p95)
      error_message = "latency_ms.p95 is a bound of request_latency in metrics.yaml."
    }
  }
}
