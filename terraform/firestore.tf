# Two databases: the records, and patients' keys apart from them, so that no
# export or backup of the records holds what opens them.
locals {
  databases = {
    "(default)" = {}
    keys        = {}
  }

  firestore = jsondecode(file("${path.root}/../firestore.indexes.json"))

  # Named after what they are, so that a new one in the middle of the file moves none.
  indexes = {
    for index in local.firestore.indexes : join(" ", [
      "${index.collectionGroup}${index.queryScope == "COLLECTION_GROUP" ? " (group)" : ""}:",
      join(", ", [
        for field in index.fields :
        "${field.fieldPath} ${lower(try(field.order, field.arrayConfig, "vector"))}"
      ]),
    ]) => index
  }

  fields = {
    for field in local.firestore.fieldOverrides : "${field.collectionGroup}.${field.fieldPath}" => field
  }

  # Firestore deletes by itself here, whatever a legal hold says: so nothing clinical may be among
  # them. `messages` are reminders; a TTL counts for every collection of that name, wherever it lies.
  fleeting = ["idempotency_keys", "rate_limits", "messages"]
}

resource "google_firestore_database" "this" {
  for_each = local.databases

  name        = each.key
  location_id = var.firestore_location
  type        = "FIRESTORE_NATIVE"

  # Invariants are held by `create`, never by a transaction; whoever reads in one by mistake holds up nobody.
  concurrency_mode                  = "OPTIMISTIC"
  app_engine_integration_mode       = "DISABLED"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.is_protected ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.is_protected ? "PREVENT" : "DELETE"

  cmek_config {
    kms_key_name = local.keys["database"]
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

resource "google_firestore_index" "this" {
  for_each = local.indexes

  database    = google_firestore_database.this["(default)"].name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.fieldPath
      order        = try(fields.value.order, null)
      array_config = try(fields.value.arrayConfig, null)
      dynamic "vector_config" {
        for_each = can(fields.value.vectorConfig) ? [fields.value.vectorConfig] : []
        content {
          dimension = vector_config.value.dimension
          flat {}
        }
      }
    }
  }
}

# Without indexes of their own: sealed and long fields, which nobody can search, and which would cost writes.
resource "google_firestore_field" "this" {
  for_each = local.fields

  database   = google_firestore_database.this["(default)"].name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes
      content {
        order        = try(indexes.value.order, null)
        array_config = try(indexes.value.arrayConfig, null)
        query_scope  = indexes.value.queryScope
      }
    }
  }

  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? [1] : []
    content {}
  }

  lifecycle {
    precondition {
      condition     = !try(each.value.ttl, false) || contains(local.fleeting, each.value.collectionGroup)
      error_message = "${each.key} has a TTL, but ${each.value.collectionGroup} is not listed as free of clinical content (firestore.tf)."
    }
  }
}

# ---------------------------------------------------------------- backups

# An erased patient's key is in these for a week, and in nothing else: longer would undo the
# erasure (docs/operations.md). So it is for the records' own daily backups, the platform's maximum.
resource "google_firestore_backup_schedule" "daily" {
  for_each = local.databases

  database  = google_firestore_database.this[each.key].name
  retention = "${7 * 86400}s"

  daily_recurrence {}
}

# Of the records only.
resource "google_firestore_backup_schedule" "weekly" {
  database  = google_firestore_database.this["(default)"].name
  retention = "${var.backup_days * 86400}s"

  weekly_recurrence {
    day = "SUNDAY"
  }

  lifecycle {
    precondition {
      condition     = var.backup_days >= 7 && var.backup_days <= 98
      error_message = "Firestore keeps a backup for 14 weeks at most."
    }
  }
}
