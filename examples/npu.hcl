# A board of one's own: an NPU of which the datasheet says clock, MAC per cycle and memory, and measurements of a few
# networks. What they determine, how well others are predicted, whether the intervals hold, and what to measure next.
#
# The board is Arm's Ethos-U55-128 as Arm's compiler, Vela, estimates it (vela/README.md): a vendor's model instead of
# measurements, so that truth is known for networks of all kinds. Another board is another file and other variables.

variable "measurements" {
  description = "CSV file with columns network, role and latency_s; rows of role train are fitted to."
  type        = string
  default     = "vela/u55-128-sram.csv"
}

variable "source" {
  description = "Where the figures of that file are from."
  type        = string
  default     = "Vela 5.2.0"
}

variable "clock" {
  description = "The NPU's clock."
  type        = string
  default     = "200MHz"
}

variable "pes" {
  description = "MAC per cycle at most."
  type        = number
  default     = 128
}

variable "memory" {
  description = "The local memory; here more than any of the networks occupies."
  type        = string
  default     = "2MiB"
}

locals {
  rows = csvdecode(file(var.measurements))

  # MobileNetV2 by their names, such as mbv2_0.35_96, and the others as they are listed.
  mobile = { for r in local.rows : r.network => {
    width      = tonumber(split("_", r.network)[1])
    resolution = tonumber(split("_", r.network)[2])
    scaling    = "published"
  } if can(regex("^mbv2_", r.network)) }
  others = { for name, n in jsondecode(file("vela/networks.json")) : name => merge(n, { input = { c = n.input[0], h = n.input[1], w = n.input[2] } }) }

  board = {
    name   = "${var.pes} MAC per cycle at ${var.clock}"
    clock  = var.clock
    pes    = var.pes
    memory = var.memory
  }
}

# Thirteen MobileNetV2 are measured. The form is Arm's own account of such an NPU: transfers run behind computing. Any
# form meets these thirteen; other families tell them apart.
stage "calibrate" "one_family" {
  platform     = local.board
  measurements = var.measurements
  columns      = { latency = "latency_s" }
  kind         = "modelled"
  source       = var.source
  networks     = merge(local.mobile, local.others)
  form         = "overlap"
  next         = { candidates = local.others, count = 4 }
}

# The four that it says to measure next are measured, too.
stage "calibrate" "and_four" {
  platform     = local.board
  measurements = var.measurements
  columns      = { latency = "latency_s" }
  kind         = "modelled"
  source       = var.source
  networks     = merge(local.mobile, local.others)
  form         = "overlap"
  train        = concat(["train"], stage.one_family.next[*].name)
  next         = { candidates = local.others, count = 4 }
}

locals {
  fits = { "13 of MobileNetV2" = stage.one_family, "and the four named" = stage.and_four }
}

stage "table" "validation" {
  title   = "Networks that were not fitted to"
  caption = "Errors are of the logarithm of the latency. Cover is the share of networks whose latency lies in the interval predicted for it, which should be 95 % or more."
  rows = flatten([for name, fit in local.fits : [for role in ["holdout", "foreign"] : {
    fit      = name
    role     = role == "holdout" ? "MobileNetV2" : "other families"
    networks = fit.roles[role].rows
    rms      = fit.roles[role].latency_rms
    worst    = fit.roles[role].latency_worst
    coverage = fit.roles[role].coverage
  }]])
  columns = [
    { key = "fit", title = "fitted to" },
    { key = "role", title = "predicted" },
    { key = "networks" },
    { key = "rms", title = "error, rms (%)", scale = 100, format = "%.1f" },
    { key = "worst", title = "worst (%)", scale = 100, format = "%.0f" },
    { key = "coverage", title = "cover (%)", scale = 100, format = "%.0f" },
  ]
  provenance = "legend"
}

stage "table" "next" {
  title = "What to measure next, the most telling first"
  rows  = stage.one_family.next
  columns = [
    { key = "name", title = "network" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.2f" },
    { key = "before", title = "before", group = "the others uncertain by (%)", scale = 100, format = "%.0f" },
    { key = "after", title = "after", group = "the others uncertain by (%)", scale = 100, format = "%.0f" },
  ]
  provenance = "legend"
}

stage "table" "parameters" {
  title = "What the measurements say of the NPU"
  rows = [for i, p in stage.one_family.parameters : {
    name = p.name
    unit = p.unit
    few  = p
    more = stage.and_four.parameters[i]
  }]
  columns = [
    { key = "name", title = "parameter" },
    { key = "unit" },
    { key = "few.value", title = "best", group = "13 of MobileNetV2", format = "%.3g" },
    { key = "few.low", title = "least", group = "13 of MobileNetV2", format = "%.3g" },
    { key = "few.high", title = "greatest", group = "13 of MobileNetV2", format = "%.3g" },
    { key = "more.value", title = "best", group = "and the four named", format = "%.3g" },
    { key = "more.low", title = "least", group = "and the four named", format = "%.3g" },
    { key = "more.high", title = "greatest", group = "and the four named", format = "%.3g" },
  ]
  provenance = "legend"
}

stage "table" "predictions" {
  title = "Each network that was not fitted to"
  rows  = [for r in stage.one_family.rows : r if !r.fitted]
  columns = [
    { key = "network" },
    { key = "macs", title = "MACs (M)", scale = 1e-6, format = "%.1f" },
    { key = "latency_measured", title = "Vela", group = "latency (ms)", scale = 1000, format = "%.2f" },
    { key = "latency", title = "predicted", group = "latency (ms)", scale = 1000, format = "%.2f", interval = "latency_interval" },
    { key = "latency_error", title = "error (%)", scale = 100, format = "%+.1f" },
  ]
  provenance = "legend"
}

output "validation" { value = stage.validation.text }
output "summary" { value = stage.one_family.summary }
output "next" { value = stage.next.text }
output "parameters" { value = stage.parameters.text }
output "predictions" { value = stage.predictions.text }
output "heldout_rms" { value = stage.one_family.roles["holdout"].latency_rms }
output "foreign_rms" { value = stage.one_family.roles["foreign"].latency_rms }
output "foreign_worst" { value = stage.one_family.roles["foreign"].latency_worst }
output "coverage" {
  value = sum([for role in ["holdout", "foreign"] : stage.one_family.roles[role].coverage * stage.one_family.roles[role].rows]) / sum([for role in ["holdout", "foreign"] : stage.one_family.roles[role].rows])
}
output "depthwise_rate" { value = stage.one_family.platform.rates.depthwise }
output "foreign_rms_and_four" { value = stage.and_four.roles["foreign"].latency_rms }
output "coverage_and_four" {
  value = sum([for role in ["holdout", "foreign"] : stage.and_four.roles[role].coverage * stage.and_four.roles[role].rows]) / sum([for role in ["holdout", "foreign"] : stage.and_four.roles[role].rows])
}
