# clamd, which scans uploads: machines without an address of their own behind an internal load balancer.
# What it can't judge is quarantined, so it may be away for a while, but not unnoticed (alerts.tf).
locals {
  clamd_host = var.scanners > 0 ? "${google_compute_address.scanner["scanner"].address}:3310" : ""

  # For functions that use it; null: as without a network.
  scanner_egress = var.scanners > 0 ? {
    network    = google_compute_network.scanner["scanner"].id
    subnetwork = google_compute_subnetwork.scanner["functions"].id
  } : null

  # ClamAV's long-term release, with the signatures of its day; freshclam brings newer ones every two hours.
  clamav_image = "docker.io/clamav/clamav:1.4.3"

  # The image waits for the local socket, and ends if it does not come. As large as an upload may be. What is larger than it reads is called infected, not clean.
  clamd_conf = <<-CONF
    Foreground yes
    LogTime yes
    User clamav
    DatabaseDirectory /var/lib/clamav
    LocalSocket /tmp/clamd.sock
    TCPSocket 3310
    TCPAddr 0.0.0.0
    MaxThreads 8
    StreamMaxLength 500M
    MaxFileSize 500M
    MaxScanSize 500M
    AlertExceedsMax yes
  CONF

  scanner_init = yamlencode({
    write_files = [
      { path = "/etc/healthhub/clamd.conf", permissions = "0644", content = local.clamd_conf },
      {
        path        = "/etc/systemd/system/clamd.service"
        permissions = "0644"
        content     = <<-UNIT
          [Unit]
          Description=Scans uploads
          Wants=network-online.target docker.service
          After=network-online.target docker.service
          [Service]
          ExecStartPre=-/usr/bin/docker rm -f clamd
          ExecStart=/usr/bin/docker run --name clamd --publish 3310:3310 --memory 6g \
            --volume /etc/healthhub/clamd.conf:/etc/clamav/clamd.conf:ro ${local.clamav_image}
          Restart=always
          RestartSec=10
        UNIT
      },
    ]
    # Container-Optimized OS refuses what comes in unless its own firewall is told too.
    runcmd = [
      "iptables -w -A INPUT -p tcp --dport 3310 -j ACCEPT",
      "systemctl daemon-reload",
      "systemctl start clamd.service",
    ]
  })
}

resource "google_service_account" "scanner" {
  for_each = local.has_scanner

  account_id   = "scanner"
  display_name = "Machines that scan uploads"

  depends_on = [google_project_service.enabled]
}

# To say how they are, and nothing else: they see files, and no bucket.
resource "google_project_iam_member" "scanner" {
  for_each = var.scanners > 0 ? toset(["roles/logging.logWriter", "roles/monitoring.metricWriter"]) : toset([])

  project = var.project_id
  role    = each.key
  member  = google_service_account.scanner["scanner"].member
}

resource "google_kms_crypto_key_iam_member" "scanner" {
  for_each = local.has_scanner

  crypto_key_id = local.keys["scanner"]
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:service-${data.google_project.this.number}@compute-system.iam.gserviceaccount.com"

  depends_on = [google_project_service.enabled]
}

resource "google_compute_instance_template" "scanner" {
  for_each = local.has_scanner

  name_prefix  = "scanner-"
  region       = var.region
  machine_type = "e2-standard-2" # the signatures alone take 2 GB, twice while they change
  metadata = {
    user-data                  = "#cloud-config\n${local.scanner_init}"
    block-project-ssh-keys     = "true"
    enable-oslogin             = "true"
    google-logging-enabled     = "true"
    google-monitoring-enabled  = "true"
    cos-update-strategy        = "update_enabled"
    disable-legacy-endpoints   = "true"
    serial-port-enable         = "false"
    serial-port-logging-enable = "false"
  }

  disk {
    source_image = "projects/cos-cloud/global/images/family/cos-stable"
    disk_size_gb = 20
    disk_type    = "pd-balanced"
    boot         = true
    auto_delete  = true
    disk_encryption_key {
      kms_key_self_link = local.keys["scanner"]
    }
  }

  network_interface {
    subnetwork = google_compute_subnetwork.scanner["scanner"].id
  }

  service_account {
    email  = google_service_account.scanner[each.key].email
    scopes = ["cloud-platform"] # what it may do is said by its roles
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_kms_crypto_key_iam_member.scanner]
}

resource "google_compute_region_health_check" "scanner" {
  for_each = local.has_scanner

  name                = each.key
  region              = var.region
  check_interval_sec  = 10
  timeout_sec         = 5
  healthy_threshold   = 2
  unhealthy_threshold = 3

  # clamd opens its port when its signatures are read.
  tcp_health_check {
    port = 3310
  }

  log_config {
    enable = true
  }

  depends_on = [google_project_service.enabled]
}

resource "google_compute_region_instance_group_manager" "scanner" {
  for_each = local.has_scanner

  name               = each.key
  region             = var.region
  base_instance_name = each.key
  target_size        = var.scanners

  version {
    instance_template = google_compute_instance_template.scanner[each.key].self_link_unique
  }

  # New ones first, in each zone of the region; reading the signatures takes minutes.
  update_policy {
    type                  = "PROACTIVE"
    minimal_action        = "REPLACE"
    max_surge_fixed       = 3
    max_unavailable_fixed = 0
  }

  auto_healing_policies {
    health_check      = google_compute_region_health_check.scanner[each.key].id
    initial_delay_sec = 600
  }
}

resource "google_compute_address" "scanner" {
  for_each = local.has_scanner

  name         = each.key
  region       = var.region
  address_type = "INTERNAL"
  subnetwork   = google_compute_subnetwork.scanner["scanner"].id
}

resource "google_compute_region_backend_service" "scanner" {
  for_each = local.has_scanner

  name                  = each.key
  region                = var.region
  load_balancing_scheme = "INTERNAL"
  protocol              = "TCP"
  health_checks         = [google_compute_region_health_check.scanner[each.key].id]

  backend {
    group          = google_compute_region_instance_group_manager.scanner[each.key].instance_group
    balancing_mode = "CONNECTION"
  }
}

resource "google_compute_forwarding_rule" "scanner" {
  for_each = local.has_scanner

  name                  = each.key
  region                = var.region
  load_balancing_scheme = "INTERNAL"
  ip_protocol           = "TCP"
  ports                 = ["3310"]
  ip_address            = google_compute_address.scanner[each.key].id
  network               = google_compute_network.scanner[each.key].id
  subnetwork            = google_compute_subnetwork.scanner["scanner"].id
  backend_service       = google_compute_region_backend_service.scanner[each.key].id
}
