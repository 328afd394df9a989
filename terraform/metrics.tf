# Metrics that are counted from log lines; metrics.yaml lists them. They see every line that reaches
# the project, also those that no bucket keeps.
#
# Cost: a user-defined metric is charged by what it writes. request_latency is by far the largest, with
# a point a minute for each route that was asked; Google's own metrics of Cloud Run are free, and are
# used wherever a route need not be known.

locals {
  metrics_read = yamldecode(file("${path.root}/metrics.yaml"))
  metrics      = { for metric in concat(local.metrics_read.business, local.metrics_read.operations) : metric.name => metric }

  # Where only the sum matters, a few buckets do.
  bounds_of_sums = [1, 2, 5, 10, 100, 1000]
}

resource "google_logging_metric" "this" {
  for_each    = local.metrics
  name        = each.key
  description = each.value.description
  filter      = each.value.filter

  # A counter can only count lines; to add up a field it takes a distribution, which has its sum.
  value_extractor  = each.value.kind == "count" ? null : "EXTRACT(jsonPayload.${each.value.value})"
  label_extractors = { for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = each.value.kind == "count" ? "INT64" : "DISTRIBUTION"
    unit        = try(each.value.unit, "1")

    dynamic "labels" {
      for_each = toset(each.value.labels)
      content {
        key        = labels.value
        value_type = "STRING"
      }
    }
  }

  dynamic "bucket_options" {
    for_each = each.value.kind == "count" ? [] : [try(each.value.bounds, local.bounds_of_sums)]
    content {
      explicit_buckets {
        bounds = bucket_options.value
      }
    }
  }

  lifecycle {
    precondition {
      condition     = contains(["count", "sum", "distribution"], each.value.kind)
      error_message = "metrics.yaml: the kind of ${each.key} is count, sum or distribution."
    }
  }

  depends_on = [google_project_service.enabled]
}
