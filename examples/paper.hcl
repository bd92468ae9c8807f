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

variable "backend" {
  description = "What trains and measures: go, or torch, which needs Python with PyTorch."
  type        = string
  default     = "go"
}

variable "python" {
  description = "The interpreter that has PyTorch."
  type        = string
  default     = "python3"
}

# ---------------------------------------------------------------------------------------------------
# The hardware: what the paper measured fits the values that it does not disclose (sections 2.1, 2.4). What is known
# beforehand is what its table 3 and section 2.1 say, and which form the cost has is for the measurements to choose.

stage "calibrate" "raptor" {
  platform = {
    name  = "tinyraptor"
    clock = "200MHz"
    pes   = 128
    power = "10.22mW" # energy / latency in table 3
  }
  measurements = "${path.recipe}/raptor.csv"
  seed         = var.seed
  compare = { # do the measurements' uncertainties leave their order alone?
    "MobileNetV2 0.5@160"  = { width = 0.5, resolution = 160 }
    "MobileNetV2 0.35@192" = { width = 0.35, resolution = 192 }
    "table 2 at 160"       = { widths = local.table2, resolution = 160 }
  }
}

stage "table" "table1" {
  title = "Table 1: MobileNetV2 scaled uniformly, on Raptor"
  rows = [for r in stage.raptor.rows : {
    width      = r.width
    resolution = r.resolution
    macs       = { ours = r.macs, paper = r.macs_measured, error = r.macs / r.macs_measured - 1 }
    mu         = { ours = r.mu, paper = r.mu_measured, error = r.mu / r.mu_measured - 1 }
  } if r.set == "table 1"]
  columns = [
    { key = "width", title = "W_d", format = "%.1f" },
    { key = "resolution", title = "R" },
    { key = "macs.paper", title = "paper", group = "MACs (M)", scale = 1e-6 },
    { key = "macs.ours", title = "ours", group = "MACs (M)", scale = 1e-6, format = "%.1f" },
    { key = "macs.error", title = "error (%)", group = "MACs (M)", scale = 100, format = "%+.1f" },
    { key = "mu.paper", title = "paper", group = "μ" },
    { key = "mu.ours", title = "ours", group = "μ", format = "%.3f" },
    { key = "mu.error", title = "error (%)", group = "μ", scale = 100, format = "%+.1f" },
  ]
  provenance = "legend"
}

locals {
  meaning = {
    "memory"        = "local memory"
    "rate"          = "layers of every kind"
    "output_cost"   = "each result"
    "transfer_cost" = "moving a byte"
    "spill_cost"    = "moving a byte that has no room, besides"
  }
  forms = { for f in stage.raptor.forms : f.name => f }
}

stage "table" "forms" {
  title   = "What kind of cost model the measurements choose"
  caption = "Fitted to 13 values of ten MobileNetV2. Of the forms whose AICc (with what priors say) is at most 4 above the least, which the measurements cannot tell apart, the one with the smallest worst error is taken."
  rows    = stage.raptor.forms
  columns = [
    { key = "name", title = "form" },
    { key = "meaning" },
    { key = "parameters" },
    { key = "determined", title = "of them by the data", format = "%.1f" },
    { key = "rms", title = "all", group = "error (%)", scale = 100, format = "%.1f" },
    { key = "worst", title = "worst", group = "error (%)", scale = 100, format = "%.1f" },
    { key = "loo", title = "left out", group = "error (%)", scale = 100, format = "%.1f" },
    { key = "aicc", title = "AICc", format = "%.1f" },
    { key = "chosen", title = "taken" },
  ]
  provenance = "legend"
}

stage "table" "hardware" {
  title   = "What the measurements say about Raptor"
  caption = "Fitted to what the paper prints. Any value from the least to the greatest meets it about as well; one that has no end is not pinned down."
  rows = [for p in stage.raptor.parameters : {
    name  = lookup(local.meaning, p.name, p.name)
    value = p.unit == "bytes" ? p.value / 1024 : p.value
    low   = p.low == null ? null : p.unit == "bytes" ? p.low / 1024 : p.low
    high  = p.high == null ? null : p.unit == "bytes" ? p.high / 1024 : p.high
    unit  = p.unit == "bytes" ? "KiB" : p.unit
    pins  = p.identified
  }]
  columns = [
    { key = "name", title = "parameter" },
    { key = "value", title = "best", format = "%.3g" },
    { key = "low", title = "least", format = "%.3g" },
    { key = "high", title = "greatest", format = "%.3g" },
    { key = "unit" },
    { key = "pins", title = "pinned down" },
  ]
  provenance = "legend"
}

# ---------------------------------------------------------------------------------------------------
# Figure 1: where MobileNetV2's memory goes.

stage "analyze-memory" "memory" {
  platform = stage.raptor.platform
  network  = { width = 1, resolution = 224 }
}

stage "table" "memory_table" {
  title   = "MobileNetV2 1.0 at 224 pixels, int8, per block"
  caption = "A block fits when the inputs, outputs and weights of each of its layers do, together; it is supported when no layer's weights are beyond the limit."
  rows    = stage.memory.blocks
  columns = [
    { key = "name", title = "block" },
    { key = "weights", unit = "KiB", scale = 1 / 1024, format = "%.1f" },
    { key = "activations", unit = "KiB", scale = 1 / 1024, format = "%.1f" },
    { key = "peak", title = "at once", unit = "KiB", scale = 1 / 1024, format = "%.1f" },
    { key = "fits" },
    { key = "supported" },
    { key = "sys_share", title = "of SYS cycles (%)", scale = 100, format = "%.1f" },
  ]
  provenance = "legend"
}

stage "plot" "figure1" {
  title = "Figure 1: MobileNetV2 1.0 at 224 pixels, int8"
  x     = { title = "block" }
  y     = { title = "memory", unit = "KiB", scale = 1 / 1024 }
  series = [
    { name = "activations", mark = "bars", rows = stage.memory.blocks, x = "name", y = "activations" },
    { name = "weights", mark = "bars", rows = stage.memory.blocks, x = "name", y = "weights" },
  ]
  lines = [{ name = "Raptor's local memory, ${format("%.0f", stage.memory.memory / 1024)} KiB", at = stage.memory.memory }]
}

# ---------------------------------------------------------------------------------------------------
# Table 2: all 5⁹ assignments of five multipliers to nine rows; where the paper's stands among them.

locals {
  table2 = [0.3, 0.3, 0.3, 0.3, 1.5, 1.0, 0.9, 0.6, 0.6]
}

stage "progressive-grid" "grid" {
  platform    = stage.raptor.platform
  plausible   = stage.raptor.plausible # what the measurements cannot tell from it
  resolutions = [224]
  reference   = { name = "Table 2", widths = local.table2 }
  cloud       = 4000
}

stage "table" "table2" {
  title   = "Table 2: width multipliers at 224 pixels"
  caption = "The widest that fits keeps every layer's weights within the limit, where the other rows are as in the paper."
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
    { key = "paper", title = "paper", group = "multiplier", format = "%.1f" },
    { key = "grid", title = "our grid's best", group = "multiplier", format = "%.1f" },
    { key = "widest", title = "widest that fits", group = "multiplier", format = "%.1f" },
  ]
  provenance = "legend"
}

stage "plot" "grid_figure" {
  title = "All assignments of five multipliers to nine rows, at 224 pixels"
  x     = { title = "MACs", unit = "M", scale = 1e-6, log = true }
  y     = { title = "μ", log = true }
  series = [
    { name = "those that fit, a sample", mark = "cloud", rows = stage.grid.cloud, x = "macs", y = "mu" },
    { name = "front", mark = "front", rows = stage.grid.front, x = "macs", y = "mu", x_best = "max" },
    { name = "our grid's best", rows = [stage.grid.best], x = "macs", y = "mu" },
    { name = "the paper's table 2", rows = [stage.grid.standing.point], x = "macs", y = "mu" },
  ]
}

# ---------------------------------------------------------------------------------------------------
# The search at the paper's scale: the elastic space over table 2's widths. Nothing is trained here, so
# that there is no accuracy; the objective, MACs, is the paper's own.

locals {
  limits = { "69.7ms" = "69.7ms", "87ms" = "87ms" }
}

stage "evolve" "raptornet" {
  for_each  = local.limits
  name      = "RaptorNet space, under ${each.key}"
  platform  = stage.raptor.platform
  plausible = stage.raptor.plausible # the optimum on each of them gives its interval
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

# The blind test: nothing was fitted to what the paper prints of RaptorNet. The exact optimum of its space by
# every form that fits the measurements.
locals {
  fitting = ["spill", "spill-rereads", "spill-classifier", "spill-depthwise", "mixed", "mixed-results"]
}

stage "evolve" "blind" {
  for_each  = { for pair in setproduct(local.fitting, keys(local.limits)) : "${pair[0]}, ${pair[1]}" => { form = pair[0], limit = pair[1] } }
  name      = "RaptorNet space, ${each.value.form}, under ${each.value.limit}"
  strategy  = "exact"
  platform  = local.forms[each.value.form].platform
  plausible = local.forms[each.value.form].plausible
  space     = stage.raptornet["87ms"].network.space
  limit     = { latency = each.value.limit }
}

stage "table" "blind_test" {
  title   = "RaptorNet, which no fit has seen: the most MACs under the paper's latencies"
  caption = "The exact optimum of the paper's space. In brackets: the optima on all platforms that meet the measurements as well."
  rows = concat(
    [{
      form = "the paper"
      m87  = { mu = published(0.24, "paper, table 3"), npu = published(0.087 * 200e6 * 0.24 / 1.24, "paper, table 3: latency · clock · μ / (1 + μ)") }
      m70  = { mu = published(0.26, "paper, table 3"), npu = published(0.0697 * 200e6 * 0.26 / 1.26, "paper, table 3: latency · clock · μ / (1 + μ)") }
    }],
    [for name in local.fitting : {
      form = local.forms[name].chosen ? "${name}, the form taken" : name
      m87 = {
        mu       = stage.blind["${name}, 87ms"].optimum.mu
        interval = stage.blind["${name}, 87ms"].optimum.mu_interval
        npu      = stage.blind["${name}, 87ms"].optimum.npu_cycles
        macs     = stage.blind["${name}, 87ms"].optimum.macs
      }
      m70 = {
        mu       = stage.blind["${name}, 69.7ms"].optimum.mu
        interval = stage.blind["${name}, 69.7ms"].optimum.mu_interval
        npu      = stage.blind["${name}, 69.7ms"].optimum.npu_cycles
        macs     = stage.blind["${name}, 69.7ms"].optimum.macs
      }
    }]
  )
  columns = [
    { key = "form" },
    { key = "m87.mu", title = "μ", group = "under 87 ms", format = "%.2f", interval = "m87.interval" },
    { key = "m87.npu", title = "NPU cycles (M)", group = "under 87 ms", scale = 1e-6, format = "%.2f" },
    { key = "m87.macs", title = "MACs (M)", group = "under 87 ms", scale = 1e-6, format = "%.0f" },
    { key = "m70.mu", title = "μ", group = "under 69.7 ms", format = "%.2f", interval = "m70.interval" },
    { key = "m70.npu", title = "NPU cycles (M)", group = "under 69.7 ms", scale = 1e-6, format = "%.2f" },
    { key = "m70.macs", title = "MACs (M)", group = "under 69.7 ms", scale = 1e-6, format = "%.0f" },
  ]
  provenance = "legend"
}

# What a measurement would decide: where the form taken and the one in which maps stay differ most.
locals {
  open = {
    "MobileNetV2 0.5@128"  = { width = 0.5, resolution = 128 }
    "MobileNetV2 0.35@128" = { width = 0.35, resolution = 128 }
    "table 2 at 128"       = { widths = local.table2, resolution = 128 }
    "table 2 at 160"       = { widths = local.table2, resolution = 160 }
    "table 2 at 192"       = { widths = local.table2, resolution = 192 }
  }
}

stage "deploy-estimate" "open" {
  for_each = { for pair in setproduct(["spill", "mixed"], keys(local.open)) : "${pair[0]}, ${pair[1]}" => { form = pair[0], network = local.open[pair[1]] } }
  platform = local.forms[each.value.form].platform
  network  = each.value.network
}

stage "table" "falsifiable" {
  title   = "What would decide between maps that travel and maps that stay"
  caption = "Predictions. One board and one afternoon decide."
  rows = [for name in keys(local.open) : {
    network = name
    spill   = stage.open["spill, ${name}"].estimate
    mixed   = stage.open["mixed, ${name}"].estimate
  }]
  columns = [
    { key = "network" },
    { key = "spill.latency", title = "latency (ms)", group = "spill", scale = 1000, format = "%.1f" },
    { key = "spill.mu", title = "μ", group = "spill", format = "%.3f" },
    { key = "mixed.latency", title = "latency (ms)", group = "mixed", scale = 1000, format = "%.1f" },
    { key = "mixed.mu", title = "μ", group = "mixed", format = "%.3f" },
  ]
  provenance = "legend"
}

# Every strategy beside the true optimum, at an equal number of candidates.
stage "evolve" "strategy" {
  for_each = { paper = "the paper's", regularized = "regularized evolution", random = "random search" }
  strategy = each.key
  name     = stage.raptornet["87ms"].best.name
  platform = stage.raptor.platform
  space    = stage.raptornet["87ms"].network.space
  limit    = { latency = "87ms" }
  seed     = var.seed
}

stage "plot" "convergence_figure" {
  title = "How searches converge: most MACs under 87 ms"
  x     = { title = "candidates", log = true }
  y     = { title = "MACs", unit = "M", scale = 1e-6 }
  series = [for key, name in { paper = "the paper's", regularized = "regularized evolution", random = "random search" } : {
    name = name
    mark = "line"
    rows = stage.strategy[key].history
    x    = "evaluated"
    y    = "macs"
  }]
  lines = [{ name = "the optimum, found exactly", at = stage.strategy["paper"].optimum.macs }]
}

# With intervals: what the measurements leave open of the hardware.
stage "deploy-estimate" "searched" {
  for_each  = local.limits
  platform  = stage.raptor.platform
  plausible = stage.raptor.plausible
  network   = stage.raptornet[each.key].network
}

stage "deploy-estimate" "baseline" {
  for_each = {
    "0.5"  = { width = 0.5, resolution = 160 } # the resolutions that the published accuracies identify
    "0.35" = { width = 0.35, resolution = 192 }
  }
  platform  = stage.raptor.platform
  plausible = stage.raptor.plausible
  network   = each.value
}

locals {
  table3 = [for row in csvdecode(file("table3.csv")) : {
    network = row.network
    latency = published(tonumber(row.latency), "paper, table 3")
    energy  = published(tonumber(row.energy), "paper, table 3")
    mu      = row.mu == "" ? null : published(tonumber(row.mu), "paper, table 3")
    top1    = published(tonumber(row.top1), "paper, table 3")
  }]
  ours = {
    "RaptorNet, 87 ms"   = stage.searched["87ms"].estimate
    "RaptorNet, 69.7 ms" = stage.searched["69.7ms"].estimate
    "MobileNetV2 0.5"    = stage.baseline["0.5"].estimate
    "MobileNetV2 0.35"   = stage.baseline["0.35"].estimate
  }
}

stage "table" "table3" {
  title = "Table 3: on Raptor at 200 MHz"
  rows  = [for row in local.table3 : { network = row.network, paper = row, ours = try(local.ours[row.network], null) }]
  columns = [
    { key = "network" },
    { key = "paper.latency", title = "paper", group = "latency (ms)", scale = 1000 },
    { key = "ours.latency", title = "ours", group = "latency (ms)", scale = 1000, format = "%.1f", interval = "ours.latency_interval" },
    { key = "paper.energy", title = "paper", group = "energy (µJ)", scale = 1e6 },
    { key = "ours.energy", title = "ours", group = "energy (µJ)", scale = 1e6, format = "%.0f" },
    { key = "paper.mu", title = "paper", group = "μ" },
    { key = "ours.mu", title = "ours", group = "μ", format = "%.3f", interval = "ours.mu_interval" },
    { key = "ours.macs", title = "ours", group = "MACs (M)", scale = 1e-6, format = "%.1f" },
    { key = "paper.top1", title = "paper", group = "top-1 (%)", scale = 100 },
  ]
  footnotes = [
    "In brackets: from the least to the greatest over all platforms that meet the paper's measurements as well.",
    "RaptorNet: the paper does not print its networks; ours are what the search finds in its space under the same latency. Nothing was fitted to its rows.",
    "Top-1 is ImageNet's. Ours have none: training at that scale takes 250 hours on four A40 GPUs.",
    "MCUNet runs on an STM32, not on Raptor.",
  ]
  provenance = "legend"
}

# Figure 2 has published accuracies: over modelled latencies, MobileNetV2's as its authors print them; over the
# paper's own latencies, the rows of its table 3, whose front they make. What we searched has no ImageNet accuracy.
locals {
  published = {
    "0.5@128"  = { width = 0.5, resolution = 128, top1 = 0.577 }
    "0.5@160"  = { width = 0.5, resolution = 160, top1 = 0.610 }
    "0.5@192"  = { width = 0.5, resolution = 192, top1 = 0.639 }
    "0.35@128" = { width = 0.35, resolution = 128, top1 = 0.508 }
    "0.35@160" = { width = 0.35, resolution = 160, top1 = 0.557 }
    "0.35@192" = { width = 0.35, resolution = 192, top1 = 0.582 }
  }
}

stage "deploy-estimate" "scaled" {
  for_each  = local.published
  platform  = stage.raptor.platform
  plausible = stage.raptor.plausible
  network   = { width = each.value.width, resolution = each.value.resolution }
}

stage "plot" "figure2" {
  title  = "Figure 2: ImageNet top-1 over latency on Raptor"
  height = 100
  x      = { title = "latency", unit = "ms", scale = 1000, min = 0 }
  y      = { title = "ImageNet top-1", unit = "%", scale = 100 }
  series = concat(
    [{
      name = "RaptorNet"
      mark = "front"
      rows = [for row in local.on_raptor : row if can(regex("RaptorNet", row.network))]
      x    = "latency"
      y    = "top1"
    }],
    [for w in [0.5, 0.35] : {
      name = "MobileNetV2 ${w}"
      mark = "line"
      rows = [for k, net in local.published : {
        name     = "R ${net.resolution}"
        latency  = stage.scaled[k].estimate.latency
        interval = stage.scaled[k].estimate.latency_interval
        top1     = published(net.top1, "tensorflow/models, slim: MobileNetV2")
      } if net.width == w]
      x          = "latency"
      y          = "top1"
      x_interval = "interval"
      label      = "name"
    }],
    [{
      name = "MobileNetV2 0.5 and 0.35"
      rows = [for row in local.on_raptor : row if can(regex("MobileNetV2", row.network))]
      x    = "latency"
      y    = "top1"
    }],
  )
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
  holdout = 10000 # training images that nothing is trained on, for subnets to be chosen by
  torch   = var.backend == "torch" ? { python = var.python } : null
  laptop  = merge(stage.raptor.platform, { name = "Raptor, 16 KiB", memory = 16384, weight_limit = 16384 })
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
  epochs  = var.epochs
  batch   = 64
  rate    = 0.1
  holdout = local.holdout
  seed    = var.seed
  backend = var.backend
  torch   = local.torch
}

stage "train-predictor" "predictor" {
  supernet = stage.supernet.weights
  dataset  = stage.fashion.dataset
  holdout  = local.holdout
  samples  = 160
  unseen   = 0.4 # enough to tell one τ from another
  seed     = var.seed
  backend  = var.backend
  torch    = local.torch
}

stage "evolve" "found" {
  for_each = { "2ms" = "2ms", "3ms" = "3ms", "4ms" = "4ms" }
  name     = "subnet under ${each.key}"
  supernet = stage.supernet.weights
  dataset  = stage.fashion.dataset
  platform = local.laptop
  limit    = { latency = each.value }
  seed     = var.seed
  backend  = var.backend
  torch    = local.torch
}

# The same, by predicted accuracy; the best predicted are measured, on images that nothing was trained on.
stage "evolve" "accurate" {
  for_each  = stage.found
  name      = "subnet under ${each.key}"
  objective = "predicted"
  predictor = stage.predictor.predictor
  supernet  = stage.supernet.weights
  dataset   = stage.fashion.dataset
  holdout   = local.holdout
  platform  = local.laptop
  limit     = { latency = each.key }
  measure   = 5
  seed      = var.seed
  backend   = var.backend
  torch     = local.torch
}

stage "evolve" "front" {
  name     = "subnet"
  strategy = "nsga2"
  supernet = stage.supernet.weights
  dataset  = stage.fashion.dataset
  platform = local.laptop
  limit    = { latency = "4ms" }
  measure  = 12
  seed     = var.seed
  backend  = var.backend
  torch    = local.torch
}

stage "deploy-estimate" "deployed" {
  for_each = stage.found
  platform = local.laptop
  network  = each.value.network
}

# One of them with its weights: as ONNX, and quantised to int8.
stage "deploy-estimate" "exported" {
  platform = local.laptop
  network  = stage.found["3ms"].network
  supernet = stage.supernet.weights
  dataset  = stage.fashion.dataset
  holdout  = local.holdout
  backend  = var.backend
  torch    = local.torch
}

stage "table" "search" {
  title = "Found on Fashion-MNIST: the most MACs under a latency limit"
  rows = [for name, s in stage.found : merge(s.best, {
    limit       = "≤\u00a0${replace(name, "ms", "\u00a0ms")}"
    gap         = s.gap
    utilisation = stage.deployed[name].estimate.utilisation
  })]
  columns = [
    { key = "limit" },
    { key = "resolution", title = "R" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.2f" },
    { key = "energy", unit = "µJ", scale = 1e6, format = "%.1f" },
    { key = "mu", title = "μ", format = "%.3f" },
    { key = "macs", title = "MACs (M)", scale = 1e-6, format = "%.2f" },
    { key = "gap", title = "short of the optimum (%)", scale = 100, format = "%.2f" },
    { key = "top1", title = "top-1 (%)", scale = 100, format = "%.1f", best = "max" },
  ]
  provenance = "legend"
}

stage "table" "objectives" {
  title = "The most MACs, or the most accuracy: two objectives under the same limits"
  rows = flatten([for name, s in stage.found : [
    merge(s.best, { limit = "≤\u00a0${replace(name, "ms", "\u00a0ms")}", objective = "MACs" }),
    merge(stage.accurate[name].best, { limit = "≤\u00a0${replace(name, "ms", "\u00a0ms")}", objective = "predicted top-1" }),
  ]])
  columns = [
    { key = "limit" },
    { key = "objective" },
    { key = "resolution", title = "R" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.2f" },
    { key = "macs", title = "MACs (M)", scale = 1e-6, format = "%.2f" },
    { key = "predicted", title = "predicted", group = "Fashion-MNIST top-1 (%)", scale = 100, format = "%.1f" },
    { key = "top1", title = "measured", group = "Fashion-MNIST top-1 (%)", scale = 100, format = "%.1f", best = "max" },
  ]
  provenance = "legend"
}

stage "table" "deployment" {
  title = "A subnet with its weights, as ONNX and quantised to int8"
  rows  = [merge(stage.exported.estimate, { limit = "≤\u00a03\u00a0ms" })]
  columns = [
    { key = "limit" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.2f" },
    { key = "weight_bytes", title = "weights in int8 (KiB)", scale = 1 / 1024, format = "%.1f" },
    { key = "memory", title = "local memory (KiB)", scale = 1 / 1024, format = "%.1f" },
    { key = "top1", title = "float32", group = "Fashion-MNIST top-1 (%)", scale = 100, format = "%.1f" },
    { key = "top1_int8", title = "int8", group = "Fashion-MNIST top-1 (%)", scale = 100, format = "%.1f" },
  ]
  provenance = "legend"
}

stage "plot" "predictor_figure" {
  title = "The predictor on subnets that it has not seen"
  x     = { title = "top-1 on images held out", unit = "%", scale = 100 }
  y     = { title = "top-1", unit = "%", scale = 100 }
  series = [
    { name = "unseen subnets", rows = stage.predictor.unseen, x = "top1", y = "predicted" },
  ]
}

stage "plot" "search_figure" {
  title = "Fashion-MNIST top-1 over latency, with the supernet's weights"
  x     = { title = "latency on Raptor with 16 KiB", unit = "ms", scale = 1000, min = 0, max = 5 }
  y     = { title = "Fashion-MNIST top-1", unit = "%", scale = 100 }
  series = [
    { name = "front of MACs over latency", rows = [for s in stage.front.front : s if s.top1 != null], x = "latency", y = "top1" },
    { name = "the most MACs under a limit", rows = [for name, s in stage.found : merge(s.best, { limit = "≤\u00a0${replace(name, "ms", "\u00a0ms")}" })], x = "latency", y = "top1", label = "limit" },
  ]
}

stage "plot" "curve_figure" {
  title = "Training the supernet"
  x     = { title = "epoch" }
  y     = { title = "Fashion-MNIST top-1", unit = "%", scale = 100 }
  series = [
    { name = "largest subnet", mark = "line", file = stage.supernet.curve, x = "epoch", y = "top1_largest", like = stage.supernet.top1_largest },
    { name = "smallest subnet", mark = "line", file = stage.supernet.curve, x = "epoch", y = "top1_smallest", like = stage.supernet.top1_smallest },
  ]
}

# ---------------------------------------------------------------------------------------------------
# What became of the paper's claims, and the page that shows it all.

locals {
  blocks      = stage.memory.blocks
  weights     = [for b in local.blocks : b.weights]
  maps        = [for b in local.blocks : b.activations]
  first_maps  = sum(slice(local.maps, 0, 6)) / sum(slice(local.maps, 13, 19))
  last_share  = sum(slice(local.weights, 13, 19)) / sum(slice(local.weights, 0, 19))
  our87       = stage.searched["87ms"].estimate
  mobile      = stage.baseline["0.5"].estimate
  parameters  = { for p in stage.raptor.parameters : p.name => p }
  on_raptor   = [for row in local.table3 : row if row.mu != null]
  milliwatts  = [for row in local.on_raptor : 1000 * row.energy / row.latency]
  table1      = { for r in stage.raptor.rows : "${r.width}@${r.resolution}" => r if r.set == "table 1" }
  raptornet87 = local.table3[0]
  baseline3   = local.table3[2]

  reproduced = "reproduced"
  in_kind    = "reproduced in kind at another scale"
  not_here   = "not reproducible here"
  experiment = "examples/claims.hcl, means of 3 seeds"
}

stage "table" "claims" {
  title = "The paper's claims, one by one"
  rows = [
    {
      claim   = "Activations: the first blocks need 4 to 10 times more than the last ones"
      ours    = "The first six blocks need ${format("%.1f", local.first_maps)} times as much as the last six."
      verdict = local.first_maps >= 4 && local.first_maps <= 10 ? local.reproduced : "not reproduced"
    },
    {
      claim   = "Weights: most sit in the last six blocks, and the last two exceed the NPU's memory"
      ours    = "${format("%.0f", 100 * local.last_share)} % of the weights before the classifier are in the last six blocks; the last two have ${format("%.0f", local.weights[17] / 1024)} and ${format("%.0f", local.weights[18] / 1024)} KiB, the memory ${format("%.0f", stage.memory.memory / 1024)} KiB."
      verdict = local.last_share > 0.5 && min(local.weights[17], local.weights[18]) > stage.memory.memory ? local.reproduced : "not reproduced"
    },
    {
      claim   = "Uniform scaling trades MACs against μ, as in table 1"
      ours    = "A model fitted to it meets its μ within ${format("%.1f", 100 * stage.raptor.sets["table 1"].mu_rms)} % rms, and within ${format("%.1f", 100 * stage.raptor.sets["table 1"].mu_loo)} % where a network is left out of the fit."
      verdict = stage.raptor.sets["table 1"].mu_loo < 0.1 ? local.reproduced : "not reproduced"
    },
    {
      claim   = "Table 2's widths have the most μ and MACs"
      ours    = "They have more μ than ${format("%.3f", 100 * stage.grid.standing.percentile)} % of the assignments with similar MACs, though the fit never saw them. ${stage.grid.standing.dominators} of 1,953,125 have more of both; ${stage.grid.standing.dominators_range[0]} to ${stage.grid.standing.dominators_range[1]} on the platforms that meet the measurements as well."
      verdict = stage.grid.standing.percentile > 0.999 ? local.reproduced : "not reproduced"
    },
    {
      claim   = "At equal latency RaptorNet's μ is 50 % better than MobileNetV2's"
      ours    = "${format("%+.0f", 100 * (local.our87.mu / local.mobile.mu - 1))} %: the best network of its space under 87 ms has μ ${format("%.2f", local.our87.mu)}, MobileNetV2 0.5 at 160 pixels ${format("%.3f", local.mobile.mu)}. Its own table 3 has ${format("%+.0f", 100 * (local.raptornet87.mu / local.baseline3.mu - 1))} %."
      verdict = local.our87.mu / local.mobile.mu >= 1.5 ? "${local.reproduced}: more than claimed" : "not reproduced"
    },
    {
      claim   = "Up to 1.3 points more ImageNet top-1 at equal latency, or 20 % faster and cheaper at equal accuracy"
      ours    = "On Fashion-MNIST the networks searched in a progressive space are ${measured(0.32, local.experiment)} to ${measured(0.67, local.experiment)} points better than the best uniformly scaled ones of equal latency, each trained alone; with shared weights, ${measured(0.68, local.experiment)} to ${measured(1.45, local.experiment)} points worse. Latencies there are those of the form in which maps stay. ImageNet's 250 hours on four A40 GPUs are not repeated."
      verdict = "${local.in_kind}, where each network is trained alone"
    },
    {
      claim   = "One supernet serves every latency limit without training again"
      ours    = "With shared weights, Fashion-MNIST top-1 is from ${format("%.1f", 100 * stage.supernet.top1_smallest)} % (smallest subnet) to ${format("%.1f", 100 * stage.supernet.top1_largest)} % (largest)."
      verdict = local.in_kind
    },
  ]
  columns    = [{ key = "claim" }, { key = "ours", title = "here", format = "words" }, { key = "verdict" }]
  provenance = "legend"
}

stage "table" "oddities" {
  title = "The paper beside itself, and beside our model"
  rows = [
    {
      paper = "RaptorNet at ${1000 * local.raptornet87.latency} ms has μ ${local.raptornet87.mu} and ${100 * local.raptornet87.top1} % top-1"
      ours  = "Its μ is that of the best network of its space (${format("%.2f", local.our87.mu)}), which has ${format("%.0f", local.our87.macs / 1e6)} M MACs. MobileNetV2 with ${published(154, "tensorflow/models, slim: MobileNetV2")} M has ${published(68.8, "tensorflow/models, slim: MobileNetV2")} % on ImageNet: its accuracy would suggest a smaller network, or shared weights that were not trained further. The model does not explain it."
    },
    {
      paper = "50 % better μ"
      ours  = "${format("%+.0f", 100 * (local.raptornet87.mu / local.baseline3.mu - 1))} % by its table 3: ${local.raptornet87.mu} against ${local.baseline3.mu}."
    },
    {
      paper = "MobileNetV2 0.5 at 160 pixels has μ ${local.table1["0.5@160"].mu_measured} in table 1, ${local.baseline3.mu} in table 3"
      ours  = "It is one network; a model fitted to both says ${format("%.3f", local.mobile.mu)}. Table 3 gives no resolution: the accuracies that MobileNetV2's authors publish identify it."
    },
    {
      paper = "MobileNetV2 0.5 at 224 pixels has ${local.table1["0.5@224"].macs_measured / 1e6} M MACs"
      ours  = "Its authors publish ${published(97, "tensorflow/models, slim: MobileNetV2")} M. With a stem of 32 and a head of 1280 channels at every width it has ${format("%.1f", local.table1["0.5@224"].macs / 1e6)} M."
    },
    {
      paper = "Table 3 gives energies"
      ours  = "Each is latency times ${format("%.2f", min(local.milliwatts...))} to ${format("%.2f", max(local.milliwatts...))} mW on Raptor, so that they say nothing of their own. Ours are made the same way, and say no more."
    },
    {
      paper = "Table 2's multipliers are on a grid of steps of 0.3"
      ours  = "Its 1.0 is not."
    },
    {
      paper = "Widths above 0.5 do not fit Raptor"
      ours  = "Table 1 lists 0.6. The largest layer of 0.5 has 200 KiB of weights, that of 0.6 240 KiB; the memory that the measurements give, for maps and weights together, is ${format("%.0f", stage.raptor.platform.memory / 1024)} KiB (${format("%.0f", local.parameters.memory.low / 1024)} to ${format("%.0f", local.parameters.memory.high / 1024)}): there all maps of such a layer spill, and it runs all the same."
    },
    {
      paper = "MCUNet runs on an STM32F412 at 216 MHz"
      ours  = "That result is an STM32F746's; an F412 does not run at 216 MHz."
    },
  ]
  columns    = [{ key = "paper", title = "the paper", format = "words" }, { key = "ours", title = "here", format = "words" }]
  provenance = "legend"
}

stage "report" "page" {
  title = "Hardware-aware neural architecture search for a memory-constrained NPU, reproduced"
  text  = <<-EOT
    Castagnetti, Pegatoquet, Miramond and others shaped a search space by the local memory of TinyRAPTOR, an NPU, and searched in it. This page puts their tables and figures beside what one recipe computes from the little that is public of that chip. Accuracies are measured on Fashion-MNIST, at a laptop's scale; the paper's, on ImageNet, stand as published and are never in one column with ours.

    R is the input's size in pixels, W_d a multiplier of the channels, and μ the cycles of computing over those of moving data: more is better.
  EOT
  sections = [
    { title = "Claims", tables = [stage.claims.html] },
    {
      title  = "The hardware"
      text   = join("\n", [for line in concat(slice(stage.raptor.summary, 0, 2), [stage.raptor.ranking.words]) : "- ${line}"])
      tables = [stage.table1.html, stage.forms.html, stage.hardware.html]
    },
    {
      title  = "A blind test"
      text   = <<-EOT
        - The paper prints latency and μ of two networks that its search found, but not the networks. No value here was fitted to them: the form and its values come from tables 1 and 3 of MobileNetV2 alone. So the μ of the best network of the paper's space under these latencies is a test that the model can fail, and one in which maps stay in the local memory does.
        - To be said of it: the forms compared, the priors and the rule were written down by people who knew the paper's μ, after other forms had failed this very test. What the fit does not see, its authors did. And the choice among the forms without maps that stay hangs on a prior, that dense layers keep 74 to 92 % of the PEs busy: with a prior 1.2 times as wide the rule takes spill-depthwise, which meets the paper under 87 ms less well and under 69.7 ms not. Under 87 ms every form without maps that stay gives 0.24 to 0.28; what the measurements reject is none of these.
        - Charging by the bytes of the tiles' own schedules (spill-rereads) gives the same: the tiles that fit read next to nothing twice, and a spilled byte's cost stands for the waiting between them. What decides is whether maps stay between layers.
      EOT
      tables = [stage.blind_test.html, stage.falsifiable.html]
    },
    {
      title   = "Memory"
      text    = join("\n", [for line in stage.memory.summary : "- ${line}"])
      figures = [stage.figure1.svg]
      tables  = [stage.memory_table.html]
    },
    {
      title   = "Progressive widths"
      text    = join("\n", [for line in stage.grid.summary : "- ${line}"])
      tables  = [stage.table2.html]
      figures = [stage.grid_figure.svg]
    },
    {
      title   = "Search at the paper's scale"
      text    = "- The most MACs under a limit are known exactly, by dynamic programming. After ${stage.strategy["paper"].evaluated} candidates the paper's search is ${format("%.2f", 100 * stage.strategy["paper"].gap)} % short of it under 87 ms, regularized evolution ${format("%.2f", 100 * stage.strategy["regularized"].gap)} %, random search ${format("%.1f", 100 * stage.strategy["random"].gap)} %."
      tables  = [stage.table3.html]
      figures = [stage.figure2.svg, stage.convergence_figure.svg]
    },
    {
      title   = "Search with measured accuracy"
      text    = "- The predictor (${stage.predictor.method}) ranks subnets that it has not seen with Kendall's τ = ${format("%.2f", stage.predictor.kendall)} ± ${format("%.2f", stage.predictor.kendall_error)}. As the test images rank them it is ${format("%.2f", stage.predictor.kendall_test)}, where measuring each of them on ${local.holdout} other images reaches ${format("%.2f", stage.predictor.ceiling)}."
      tables  = [stage.search.html, stage.objectives.html]
      figures = [stage.search_figure.svg, stage.predictor_figure.svg, stage.curve_figure.svg]
    },
    {
      title  = "Deployed"
      text   = join("\n", [for line in concat(slice(stage.exported.summary, 0, 4), [element(stage.exported.summary, -1)]) : "- ${line}"])
      tables = [stage.deployment.html]
    },
    { title = "What does not add up", tables = [stage.oddities.html] },
  ]
  recipe = path.file
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
output "memory" { value = stage.memory_table.text }
output "memory_summary" { value = stage.memory.summary }
output "table2" { value = stage.table2.text }
output "table2_percentile" { value = stage.grid.standing.percentile }
output "table2_dominators_range" { value = stage.grid.standing.dominators_range }
output "ranking" { value = stage.raptor.ranking.words }
output "forms" { value = stage.forms.text }
output "blind_test" { value = stage.blind_test.text }
output "falsifiable" { value = stage.falsifiable.text }
output "raptornet_mu_87" { value = stage.raptornet["87ms"].optimum.mu }
output "raptornet_mu_87_interval" { value = stage.raptornet["87ms"].optimum.mu_interval }
output "raptornet_mu_70" { value = stage.raptornet["69.7ms"].optimum.mu }
output "raptornet_mu_70_interval" { value = stage.raptornet["69.7ms"].optimum.mu_interval }
output "table2_dominators" { value = stage.grid.standing.dominators }
output "table3" { value = stage.table3.text }
output "supernet_top1_largest" { value = stage.supernet.top1_largest }
output "supernet_top1_smallest" { value = stage.supernet.top1_smallest }
output "curve_figure" { value = stage.curve_figure.svg }
output "search" { value = stage.search.text }
output "evolve_gap" { value = max([for name, s in merge(stage.found, stage.raptornet) : s.gap]...) }
output "evolve_gaps" { value = { for name, s in merge(stage.found, stage.raptornet) : name => s.gap } }
output "convergence_figure" { value = stage.convergence_figure.svg }
output "table1_csv" { value = stage.table1.csv }
output "figure1" { value = stage.figure1.svg }
output "figure2" { value = stage.figure2.svg }
output "grid_figure" { value = stage.grid_figure.svg }
output "search_figure" { value = stage.search_figure.svg }
output "predictor_kendall" { value = stage.predictor.kendall }
output "predictor_kendall_error" { value = stage.predictor.kendall_error }
output "predictor_kendall_test" { value = stage.predictor.kendall_test }
output "predictor_ceiling" { value = stage.predictor.ceiling }
output "predictor_figure" { value = stage.predictor_figure.svg }
output "objectives" { value = stage.objectives.text }
output "deployed_top1" { value = stage.exported.estimate.top1 }
output "deployed_top1_int8" { value = stage.exported.estimate.top1_int8 }
output "onnx" { value = stage.exported.onnx }
output "onnx_int8" { value = stage.exported.onnx_int8 }
output "claims" { value = stage.claims.text }
output "oddities" { value = stage.oddities.text }
output "report" { value = stage.page.html }
