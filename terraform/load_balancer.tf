# The one way in: an external Application Load Balancer before the functions, which routes by the
# catalogue as local/gateway.py does on one machine.
locals {
  # Each path with the version and without, and every service's health. What no function has goes to one
  # of them, which answers 404 with a problem document, as any would.
  routes = {
    for name, function in local.http : name => flatten([
      for path in concat(function.paths, ["/health/${name}"]) : [path, "/v1${path}"]
    ])
  }
  default_function = keys(local.http)[0]
}

# ---------------------------------------------------------------- address and certificate

resource "google_compute_global_address" "api" {
  for_each = toset(["IPV4", "IPV6"])

  name       = "api-${lower(each.key)}"
  ip_version = each.key

  depends_on = [google_project_service.enabled]
}

# Authorised by the load balancer itself: once the name points here, Google issues it and renews it.
resource "google_certificate_manager_certificate" "api" {
  name = "api"

  managed {
    domains = [var.domain]
  }

  depends_on = [google_project_service.enabled]
}

resource "google_certificate_manager_certificate_map" "api" {
  name = "api"

  depends_on = [google_project_service.enabled]
}

resource "google_certificate_manager_certificate_map_entry" "api" {
  name         = "api"
  map          = google_certificate_manager_certificate_map.api.name
  certificates = [google_certificate_manager_certificate.api.id]
  hostname     = var.domain
}

resource "google_compute_ssl_policy" "api" {
  name            = "api"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.enabled]
}

# ---------------------------------------------------------------- functions

resource "google_compute_region_network_endpoint_group" "function" {
  for_each = local.http

  name                  = replace(each.key, "_", "-")
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = module.function[each.key].service
  }

  lifecycle {
    create_before_destroy = true
  }
}

# No time-out here: none counts before a serverless backend. Cloud Run ends a request after what the
# catalogue says, and an answer that streams passes as it comes.
resource "google_compute_backend_service" "function" {
  for_each = local.http

  name                  = replace(each.key, "_", "-")
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.api.id

  backend {
    group = google_compute_region_network_endpoint_group.function[each.key].id
  }

  # Every request: who asked what is a question that an auditor asks, and Armor's verdicts are here.
  # Paths hold ids of patients, so who reads these lines reads that they exist.
  log_config {
    enable      = true
    sample_rate = 1
  }

  # Where the catalogue says that a function has public reads. Only what the answer itself calls public
  # is kept, and all else says `no-store` (common/app.py). A request that carries a token does not even
  # ask the cache: what a doctor sees of their own profile is no one else's.
  enable_cdn = try(each.value.is_cached, false)
  dynamic "cdn_policy" {
    for_each = try(each.value.is_cached, false) ? [1] : []
    content {
      cache_mode        = "USE_ORIGIN_HEADERS"
      negative_caching  = false
      serve_while_stale = 0

      cache_key_policy {
        include_host         = true
        include_protocol     = true
        include_query_string = true
      }
      bypass_cache_on_request_headers {
        header_name = "Authorization"
      }
    }
  }
}

resource "google_compute_url_map" "api" {
  name            = "api"
  default_service = google_compute_backend_service.function[local.default_function].id

  host_rule {
    hosts        = [var.domain]
    path_matcher = "api"
  }

  path_matcher {
    name            = "api"
    default_service = google_compute_backend_service.function[local.default_function].id

    dynamic "path_rule" {
      for_each = local.routes
      content {
        paths   = path_rule.value
        service = google_compute_backend_service.function[path_rule.key].id
      }
    }
  }

  # Google refuses a map in which one of these goes elsewhere.
  dynamic "test" {
    for_each = { for name, paths in local.routes : name => replace(paths[0], "/*", "/x") }
    content {
      host    = var.domain
      path    = test.value
      service = google_compute_backend_service.function[test.key].id
    }
  }
}

resource "google_compute_target_https_proxy" "api" {
  name            = "api"
  url_map         = google_compute_url_map.api.id
  certificate_map = "//certificatemanager.googleapis.com/${google_certificate_manager_certificate_map.api.id}"
  ssl_policy      = google_compute_ssl_policy.api.id
  quic_override   = "ENABLE"
}

resource "google_compute_global_forwarding_rule" "https" {
  for_each = google_compute_global_address.api

  name                  = "https-${lower(each.key)}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = each.value.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.api.id
}

# ---------------------------------------------------------------- without TLS

# Only to send browsers on: an app that spoke HTTP would have sent its token in clear before.
resource "google_compute_url_map" "redirect" {
  name = "redirect"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "PERMANENT_REDIRECT"
    strip_query            = false
  }

  depends_on = [google_project_service.enabled]
}

resource "google_compute_target_http_proxy" "redirect" {
  name    = "redirect"
  url_map = google_compute_url_map.redirect.id
}

resource "google_compute_global_forwarding_rule" "redirect" {
  for_each = google_compute_global_address.api

  name                  = "redirect-${lower(each.key)}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = each.value.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect.id
}

output "address" {
  description = "Where DNS must point `domain`: an A record and an AAAA record."
  value       = { for version, address in google_compute_global_address.api : version => address.address }
}
