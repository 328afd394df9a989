# What apps may do with Firestore itself. The same rules for both databases: they name no collection
# of `keys`, so there everything is refused; without a release of its own it would have no rules of ours.
locals {
  rules_releases = {
    "(default)" = "cloud.firestore"
    keys        = "cloud.firestore/keys"
  }
}

resource "google_firebaserules_ruleset" "firestore" {
  source {
    files {
      name    = "firestore.rules"
      content = file("${path.root}/../firestore.rules")
    }
  }

  depends_on = [google_firestore_database.this]

  # A ruleset that is released can't be deleted: the new one comes first.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_firebaserules_release" "firestore" {
  for_each = local.rules_releases

  name         = each.value
  ruleset_name = "projects/${var.project_id}/rulesets/${basename(google_firebaserules_ruleset.firestore.name)}"

  # While one release gives way to the next, Firestore refuses apps: it fails closed, for seconds.
  lifecycle {
    replace_triggered_by = [google_firebaserules_ruleset.firestore]
  }
}
