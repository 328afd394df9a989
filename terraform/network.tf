# A network for the scanner, and for the functions that ask it. Nothing else here has an address: the other
# functions reach Google's services without a network of ours. Without scanners there is none.
locals {
  has_scanner = var.scanners > 0 ? toset(["scanner"]) : toset([])
  subnets = {
    # Cloud Run takes an address for each instance, and twice as many while revisions change.
    functions = "10.10.0.0/24"
    scanner   = "10.10.1.0/28"
  }
}

resource "google_compute_network" "scanner" {
  for_each = local.has_scanner

  name                    = each.key
  auto_create_subnetworks = false

  depends_on = [google_project_service.enabled]
}

resource "google_compute_subnetwork" "scanner" {
  for_each = var.scanners > 0 ? local.subnets : {}

  name                     = each.key
  region                   = var.region
  network                  = google_compute_network.scanner["scanner"].id
  ip_cidr_range            = each.value
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
  }
}

# The scanner has no address that the internet knows; it fetches signatures and its image through this.
resource "google_compute_router" "scanner" {
  for_each = local.has_scanner

  name    = each.key
  region  = var.region
  network = google_compute_network.scanner[each.key].id
}

resource "google_compute_router_nat" "scanner" {
  for_each = local.has_scanner

  name                               = each.key
  region                             = var.region
  router                             = google_compute_router.scanner[each.key].name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.scanner["scanner"].id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

# ---------------------------------------------------------------- who may speak to whom

# In: clamd's port, from the functions' subnet and from Google's health checks. A network refuses all
# else that comes in by itself; no SSH, from nowhere.
resource "google_compute_firewall" "scanner_in" {
  for_each = local.has_scanner

  name      = "scanner-in"
  network   = google_compute_network.scanner[each.key].id
  direction = "INGRESS"
  source_ranges = [
    local.subnets.functions,
    "35.191.0.0/16", # health checks of passthrough load balancers and of managed instance groups
    "130.211.0.0/22",
  ]
  target_service_accounts = [google_service_account.scanner[each.key].email]

  allow {
    protocol = "tcp"
    ports    = ["3310"]
  }

  log_config {
    metadata = "EXCLUDE_ALL_METADATA"
  }
}

# Out: signatures and the image, by HTTPS. A machine that reads what strangers send says nothing else.
resource "google_compute_firewall" "scanner_out" {
  for_each = local.has_scanner

  name                    = "scanner-out"
  network                 = google_compute_network.scanner[each.key].id
  direction               = "EGRESS"
  priority                = 1000
  destination_ranges      = ["0.0.0.0/0"]
  target_service_accounts = [google_service_account.scanner[each.key].email]

  allow {
    protocol = "tcp"
    ports    = ["443"]
  }
}

resource "google_compute_firewall" "scanner_out_else" {
  for_each = local.has_scanner

  name                    = "scanner-out-else"
  network                 = google_compute_network.scanner[each.key].id
  direction               = "EGRESS"
  priority                = 65000
  destination_ranges      = ["0.0.0.0/0"]
  target_service_accounts = [google_service_account.scanner[each.key].email]

  deny {
    protocol = "all"
  }

  log_config {
    metadata = "EXCLUDE_ALL_METADATA"
  }
}
