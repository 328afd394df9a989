# One dashboard: what people notice first, then what works behind, then what the business sees, then
# the objectives. Made from the catalogue and from metrics.yaml, so that a new function or metric is there.

locals {
  # Two charts in a row of 48 columns.
  chart_width  = 24
  chart_height = 16

  charts = concat(
    [
      {
        title   = "Requests a second, by function"
        queries = { "$${labels.service_name}" = "sum by (service_name) (rate(${local.requests}[$${__interval}]))" }
      },
      {
        title   = "Share of requests answered 5xx"
        queries = { "$${labels.service_name}" = "sum by (service_name) (rate(${local.errors}[$${__interval}])) / sum by (service_name) (rate(${local.requests}[$${__interval}]))" }
      },
      {
        title   = "Latency, 95th percentile, ms (streams, exports, uploads and drafts left out)"
        queries = { "$${labels.function}" = "histogram_quantile(0.95, sum by (function, le) (rate(${local.latency}[$${__interval}])))" }
      },
      {
        title   = "Latency, 99th percentile, ms"
        queries = { "$${labels.function}" = "histogram_quantile(0.99, sum by (function, le) (rate(${local.latency}[$${__interval}])))" }
      },
      {
        title   = "Slowest routes, 95th percentile, ms"
        queries = { "$${labels.method} $${labels.route}" = "topk(10, histogram_quantile(0.95, sum by (method, route, le) (rate(${local.latency}[$${__interval}]))))" }
      },
      {
        title   = "Answered 5xx, by route"
        queries = { "$${labels.function} $${labels.route} $${labels.status}" = "sum by (function, route, status) (increase(${local.rose["server_errors"]}[$${__interval}]))" }
      },
      {
        title   = "Instances, by function"
        queries = { "$${labels.service_name}" = "sum by (service_name) (run_googleapis_com:container_instance_count{${local.on_run}})" }
      },
      {
        title   = "Memory of instances, 99th percentile, as a share"
        queries = { "$${labels.service_name}" = "histogram_quantile(0.99, sum by (service_name, le) (rate(run_googleapis_com:container_memory_utilizations_bucket{${local.on_run}}[$${__interval}])))" }
      },
      {
        title = "Firestore, documents a second, by database"
        queries = {
          for kind in ["read", "write", "delete"] :
          "${kind} $${labels.database_id}" => "sum by (database_id) (rate(firestore_googleapis_com:document_${kind}_ops_count{monitored_resource='firestore.googleapis.com/Database'}[$${__interval}]))"
        }
      },
      {
        title   = "Outside services, failed calls"
        queries = { "$${labels.name} $${labels.kind}" = "sum by (name, kind) (increase(${local.rose["outside_failures"]}[$${__interval}]))" }
      },
      {
        title   = "Pub/Sub, messages that wait, by subscription"
        queries = { "$${labels.subscription_id}" = "sum by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource='pubsub_subscription'})" }
      },
      {
        title   = "Pub/Sub, age of the oldest message, seconds"
        queries = { "$${labels.subscription_id}" = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource='pubsub_subscription'})" }
      },
    ],
    [
      for metric in local.metrics_read.business : {
        title   = metric.description
        queries = { join(" ", concat([metric.name], [for label in metric.labels : "$${labels.${label}}"])) = "sum by (${join(", ", metric.labels)}) (increase(${local.rose[metric.name]}[$${__interval}]))" }
      }
    ],
  )

  objective_charts = [
    for kind, objectives in { availability = google_monitoring_slo.availability, latency = google_monitoring_slo.latency } : {
      title                                = "What is left of the objective: ${kind}"
      xyChart = {
        dataSets = [
          for name in keys(local.http) : {
            plotType       = "LINE"
            legendTemplate = name
            timeSeriesQuery = {
              timeSeriesFilter = {
                filter      = "select_slo_budget_fraction(\"${objectives[name].name}\")"
                aggregation = { perSeriesAligner = "ALIGN_NEXT_OLDER", alignmentPeriod = "300s" }
              }
            }
          }
        ]
      }
    }
  ]

  widgets = concat(
    [
      for chart in local.charts : {
        title = chart.title
        xyChart = {
          dataSets = [
            for legend, query in chart.queries : {
              plotType        = "LINE"
              legendTemplate  = legend
              timeSeriesQuery = { prometheusQuery = query }
            }
          ]
        }
      }
    ],
    local.objective_charts,
  )
}

resource "google_monitoring_dashboard" "healthhub" {
  dashboard_json = jsonencode({
    displayName = "HealthHub ${var.environment}"
    mosaicLayout = {
      columns = 48
      tiles = [
        for number, widget in local.widgets : {
          xPos   = number % 2 * local.chart_width
          yPos   = floor(number / 2) * local.chart_height
          width  = local.chart_width
          height = local.chart_height
          widget = widget
        }
      ]
    }
  })

  # A chart of a metric that does not exist yet is empty, not refused; but it is made after them.
  depends_on = [google_logging_metric.this]
}
