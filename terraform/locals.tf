# The catalogue of functions is the one list that all else is made from: a new
# service is a new row there, and nothing here.
locals {
  catalog = yamldecode(file("${path.root}/../functions/catalog.yaml")).functions

  http   = { for name, function in local.catalog : name => function if function.kind == "http" }
  events = { for name, function in local.catalog : name => function if function.kind == "event" }
  clocks = { for name, function in local.catalog : name => function if function.kind == "clock" }
  stored = { for name, function in local.events : name => function if can(function.stored) }

  # What each function that nobody calls is subscribed to (common/events.py, local/topics.py).
  topics = merge(
    { for name, function in local.events : name => try(function.topic, "event-${name}") },
    { for name in keys(local.clocks) : name => "clock-${name}" },
  )

  labels = {
    app         = "healthhub"
    environment = var.environment
  }

  # The database's key must lie where the database does.
  firestore_key_location = lookup({ nam5 = "us", eur3 = "europe" }, var.firestore_location, var.firestore_location)
}

data "google_project" "this" {
  project_id = var.project_id
}
