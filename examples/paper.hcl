# The paper, from one file: hardware-aware neural architecture search for TinyRAPTOR, an NPU with a small
# local memory. Accuracies are measured at a laptop's scale, on Fashion-MNIST; the paper's own, on ImageNet,
# stand beside them as published. What each number is, every table says.
#
#   make paper

variable "data" {
  description = "Directory with Fashion-MNIST's four IDX files."
  type        = string
  default     = "../data/fashion-mnist"
}

variable "epochs" {
  description = "Passes over Fashion-MNIST's training images."
  type        = number
  default     = 4
}

variable "seed" {
  description = "Of all random choices."
  type        = number
  default     = 1
}

# ---------------------------------------------------------------------------------------------------
# The hardware: what the paper measured fits the values that it does not disclose (sections 2.1, 2.4).

stage "calibrate" "raptor" {
  platform     = { preset = "tinyraptor" }
  measurements = "${path.recipe}/raptor.csv"
  seed         = var.seed
}

stage "table" "table1" {
  title = "Table 1: MobileNetV2 scaled uniformly, on Raptor"
  rows = [for r in stage.raptor.rows : {
    width      = r.width
    resolution = r.resolution
    macs       = { ours = r.macs, paper = r.macs_measured, error = r.macs_error }
    mu         = { ours = r.mu, paper = r.mu_measured, residual = r.mu_residual }
  } if r.set == "table 1"]
  columns = [
    { key = "width", title = "W_d", format = "%.1f" },
    { key = "resolution", title = "R" },
    { key = "macs.ours", title = "ours", group = "MACs (M)", scale = 1e-6, format = "%.1f" },
    { key = "macs.paper", title = "paper", group = "MACs (M)", scale = 1e-6, format = "%.1f" },
    { key = "macs.error", title = "error", group = "MACs (M)", format = "percent" },
    { key = "mu.ours", title = "ours", group = "μ", format = "%.3f" },
    { key = "mu.paper", title = "paper", group = "μ", format = "%.3f" },
    { key = "mu.residual", title = "ln(ours/paper)", group = "μ", format = "%+.3f" },
  ]
}

stage "table" "hardware" {
  title = "What the measurements say about Raptor"
  rows  = stage.raptor.parameters
  columns = [
    { key = "name", title = "parameter" },
    { key = "value", format = "%.5g" },
    { key = "low", title = "at least", format = "%.5g" },
    { key = "high", title = "at most", format = "%.5g" },
    { key = "unit" },
    { key = "identified" },
  ]
}

# ---------------------------------------------------------------------------------------------------
# Figure 1: where MobileNetV2's memory goes.

stage "analyze-memory" "memory" {
  platform = stage.raptor.platform
  network  = { width = 1, resolution = 224 }
}

stage "table" "figure1" {
  title   = "Figure 1: MobileNetV2 1.0 at 224 pixels, int8, per block"
  caption = "A block fits when its inputs, outputs and weights do, together."
  rows    = stage.memory.blocks
  columns = [
    { key = "name", title = "block" },
    { key = "weights", format = "bytes" },
    { key = "activations", format = "bytes" },
    { key = "peak", format = "bytes" },
    { key = "fits" },
    { key = "supported" },
    { key = "sys_share", title = "SYS cycles", format = "percent" },
  ]
}

# ---------------------------------------------------------------------------------------------------
# Table 2: all 5⁹ assignments of five multipliers to nine rows; where the paper's stands among them.

locals {
  table2 = [0.3, 0.3, 0.3, 0.3, 1.5, 1.0, 0.9, 0.6, 0.6]
}

stage "progressive-grid" "grid" {
  platform    = stage.raptor.platform
  resolutions = [224]
  reference   = { name = "table 2", widths = local.table2 }
}

stage "table" "table2" {
  title = "Table 2: width multipliers at 224 pixels"
  rows = [for i, r in stage.grid.rows : {
    row    = r.row
    base   = r.base
    paper  = published(local.table2[i], "paper, table 2")
    grid   = stage.grid.best.widths[i]
    widest = r.widest
  }]
  columns = [
    { key = "row", title = "layer group" },
    { key = "base", title = "channels" },
    { key = "paper", format = "%.1f" },
    { key = "grid", title = "the grid's choice", format = "%.1f" },
    { key = "widest", title = "widest that fits beside the paper's", format = "%.1f" },
  ]
}

# ---------------------------------------------------------------------------------------------------
# The search at the paper's scale: the elastic space over table 2's widths. Nothing is trained here, so
# that there is no accuracy; the objective, MACs, is the paper's own.

locals {
  limits = { "69.7ms" = "69.7ms", "87ms" = "87ms" }
}

stage "evolve" "raptornet" {
  for_each = local.limits
  name     = "RaptorNet space, under ${each.key}"
  platform = stage.raptor.platform
  space = {
    backbone    = stage.grid.backbone
    widths      = local.table2
    resolutions = [128, 160, 192, 224]
    expansions  = [3, 4, 6]
    depths      = [2, 3, 4]
    kernels     = [3, 5]
  }
  limit = { latency = each.value }
  seed  = var.seed
}

stage "deploy-estimate" "baseline" {
  for_each = {
    "0.5"  = { width = 0.5, resolution = 160 } # the resolutions that the published accuracies identify
    "0.35" = { width = 0.35, resolution = 192 }
  }
  platform = stage.raptor.platform
  network  = each.value
}

stage "table" "table3" {
  title = "Table 3: on Raptor at 200 MHz"
  rows = concat(
    [for row in csvdecode(file("table3.csv")) : {
      network = row.network
      who     = "paper"
      latency = published(tonumber(row.latency), "paper, table 3")
      energy  = published(tonumber(row.energy), "paper, table 3")
      mu      = row.mu == "" ? null : published(tonumber(row.mu), "paper, table 3")
      top1    = published(tonumber(row.top1), "paper, table 3: ImageNet")
    }],
    [for name, s in stage.raptornet : merge(s.best, { network = s.best.name, who = "ours" })],
    [for name, s in stage.baseline : merge(s.estimate, { network = s.estimate.name, who = "ours" })],
  )
  columns = [
    { key = "network" },
    { key = "who", title = "by" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.1f" },
    { key = "energy", unit = "µJ", scale = 1e6, format = "%.0f" },
    { key = "mu", title = "μ", format = "%.3f" },
    { key = "macs", title = "MACs (M)", scale = 1e-6, format = "%.1f" },
    { key = "top1", title = "ImageNet top-1", format = "percent" },
  ]
  footnotes = ["Ours have no ImageNet accuracy: training at that scale takes 250 hours on four A40 GPUs."]
}

# ---------------------------------------------------------------------------------------------------
# The same chain with real accuracies, at a laptop's scale: Fashion-MNIST, a backbone in MobileNetV2's
# shape, and Raptor with a memory as small for it as the real one is for ImageNet's networks.

locals {
  backbone = {
    input = 1
    stem  = { channels = 16, kernel = 3, stride = 1 }
    groups = [
      { t = 1, c = 8, n = 1, s = 1 },
      { t = 6, c = 16, n = 2, s = 2 },
      { t = 6, c = 24, n = 2, s = 2 },
      { t = 6, c = 40, n = 1, s = 1 },
    ]
    head    = 128
    classes = 10
  }
  laptop = merge(stage.raptor.platform, { name = "Raptor, 16 KiB", memory = 16384, weight_limit = 16384 })
}

stage "dataset" "fashion" {
  source = "fashion-mnist"
  path   = var.data
}

stage "progressive-grid" "widths" {
  platform    = local.laptop
  backbone    = local.backbone
  resolutions = [28]
  min         = 0.5
  max         = 1.5
  step        = 0.25
  limit       = { macs = 2.5e6 }
}

stage "train-supernet" "supernet" {
  dataset = stage.fashion.dataset
  space = {
    backbone    = local.backbone
    widths      = stage.widths.best.widths
    resolutions = [20, 24, 28]
    expansions  = [3, 4, 6]
    depths      = [1, 2]
    kernels     = [3, 5]
  }
  epochs = var.epochs
  batch  = 64
  rate   = 0.1
  seed   = var.seed
}

stage "evolve" "found" {
  for_each = { "2ms" = "2ms", "3ms" = "3ms", "4ms" = "4ms" }
  name     = "subnet under ${each.key}"
  supernet = stage.supernet.weights
  dataset  = stage.fashion.dataset
  platform = local.laptop
  limit    = { latency = each.value }
  seed     = var.seed
}

stage "deploy-estimate" "deployed" {
  for_each = stage.found
  platform = local.laptop
  network  = each.value.network
}

stage "table" "search" {
  title = "Found on Fashion-MNIST: the most MACs under a latency limit"
  rows = [for name, s in stage.found : merge(s.best, {
    gap         = s.gap
    utilisation = stage.deployed[name].estimate.utilisation
  })]
  columns = [
    { key = "name", title = "network" },
    { key = "resolution", title = "R" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.2f" },
    { key = "energy", unit = "µJ", scale = 1e6, format = "%.1f" },
    { key = "mu", title = "μ", format = "%.3f" },
    { key = "macs", title = "MACs (M)", scale = 1e-6, format = "%.2f" },
    { key = "gap", title = "short of the optimum", format = "percent" },
    { key = "top1", title = "Fashion-MNIST top-1", format = "percent", best = "max" },
  ]
}

# ---------------------------------------------------------------------------------------------------

output "table1" { value = stage.table1.text }
output "table1_macs_rms" { value = stage.raptor.sets["table 1"].macs_rms }
output "table1_macs_worst" { value = stage.raptor.sets["table 1"].macs_worst }
output "table1_mu_rms" { value = stage.raptor.sets["table 1"].mu_rms }
output "table1_mu_loo" { value = stage.raptor.sets["table 1"].mu_loo }
output "table3_latency_error" { value = stage.raptor.sets["table 3"].latency_worst }
output "hardware" { value = stage.hardware.text }
output "hardware_summary" { value = stage.raptor.summary }
output "figure1" { value = stage.figure1.text }
output "figure1_summary" { value = stage.memory.summary }
output "table2" { value = stage.table2.text }
output "table2_percentile" { value = stage.grid.standing.percentile }
output "table2_dominators" { value = stage.grid.standing.dominators }
output "table3" { value = stage.table3.text }
output "supernet_top1_largest" { value = stage.supernet.top1_largest }
output "supernet_top1_smallest" { value = stage.supernet.top1_smallest }
output "search" { value = stage.search.text }
output "evolve_gap" { value = max([for name, s in stage.found : s.gap]...) }
