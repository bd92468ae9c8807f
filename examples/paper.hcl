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
    { key = "value", format = "%.6g" },
    { key = "low", title = "at least", format = "%.6g" },
    { key = "high", title = "at most", format = "%.6g" },
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

stage "table" "memory_table" {
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

stage "plot" "figure1" {
  title = "Figure 1: MobileNetV2 1.0 at 224 pixels, int8"
  x     = { title = "block" }
  y     = { title = "memory", unit = "KiB", scale = 1 / 1024 }
  series = [
    { name = "activations", mark = "bars", rows = stage.memory.blocks, x = "name", y = "activations" },
    { name = "weights", mark = "bars", rows = stage.memory.blocks, x = "name", y = "weights" },
  ]
  lines = [{ name = "Raptor's local memory", at = stage.memory.memory }]
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

stage "plot" "grid_figure" {
  title = "All 1,953,125 assignments at 224 pixels"
  x     = { title = "MACs", unit = "M", scale = 1e-6, log = true }
  y     = { title = "μ", log = true }
  series = [
    { name = "assignments (a sample)", rows = stage.grid.cloud, x = "macs", y = "mu" },
    { name = "front", mark = "front", rows = stage.grid.front, x = "macs", y = "mu", x_best = "max" },
    { name = "the grid's choice", rows = [stage.grid.best], x = "macs", y = "mu" },
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

# Figure 2 has published accuracies over modelled latencies: MobileNetV2's are Google's, RaptorNet's the paper's.
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
  for_each = local.published
  platform = stage.raptor.platform
  network  = { width = each.value.width, resolution = each.value.resolution }
}

stage "plot" "figure2" {
  title = "Figure 2: ImageNet top-1 over latency on Raptor"
  x     = { title = "latency", unit = "ms", scale = 1000 }
  y     = { title = "ImageNet top-1", unit = "%", scale = 100 }
  series = concat(
    [for w in [0.5, 0.35] : {
      name = "MobileNetV2 ${w}"
      mark = "line"
      rows = [for k, net in local.published : {
        latency = stage.scaled[k].estimate.latency
        top1    = published(net.top1, "tensorflow/models, slim: MobileNetV2")
      } if net.width == w]
      x = "latency"
      y = "top1"
    }],
    [{
      name = "RaptorNet, the paper's"
      mark = "points"
      rows = [for row in csvdecode(file("table3.csv")) : {
        latency = published(tonumber(row.latency), "paper, table 3")
        top1    = published(tonumber(row.top1), "paper, table 3")
      } if row.network == "RaptorNet"]
      x = "latency"
      y = "top1"
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
}

stage "train-predictor" "predictor" {
  supernet = stage.supernet.weights
  dataset  = stage.fashion.dataset
  holdout  = local.holdout
  samples  = 160
  unseen   = 0.4 # enough to tell one τ from another
  seed     = var.seed
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

stage "table" "objectives" {
  title = "The most MACs, or the most accuracy: two objectives under the same limits"
  rows = concat(
    [for name, s in stage.found : merge(s.best, { objective = "MACs" })],
    [for name, s in stage.accurate : merge(s.best, { objective = "predicted top-1" })],
  )
  columns = [
    { key = "name", title = "network" },
    { key = "objective" },
    { key = "resolution", title = "R" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.2f" },
    { key = "macs", title = "MACs (M)", scale = 1e-6, format = "%.2f" },
    { key = "predicted", title = "predicted", group = "Fashion-MNIST top-1", format = "percent" },
    { key = "top1", title = "measured", group = "Fashion-MNIST top-1", format = "percent", best = "max" },
  ]
}

stage "plot" "predictor_figure" {
  title = "The predictor on subnets that it has not seen"
  x     = { title = "top-1 measured on the images held out", unit = "%", scale = 100 }
  y     = { title = "top-1 predicted", unit = "%", scale = 100 }
  series = [
    { name = "unseen subnets", rows = stage.predictor.unseen, x = "top1", y = "predicted" },
  ]
}

stage "plot" "search_figure" {
  title = "Fashion-MNIST top-1 over latency, with the supernet's weights"
  x     = { title = "latency on Raptor with 16 KiB", unit = "ms", scale = 1000 }
  y     = { title = "Fashion-MNIST top-1", unit = "%", scale = 100 }
  series = [
    { name = "front of MACs over latency", rows = [for s in stage.front.front : s if s.top1 != null], x = "latency", y = "top1" },
    { name = "the most MACs under a limit", rows = [for name, s in stage.found : s.best], x = "latency", y = "top1", label = "name" },
  ]
}

stage "plot" "curve_figure" {
  title = "Training the supernet"
  x     = { title = "epoch" }
  y     = { title = "Fashion-MNIST top-1", unit = "%", scale = 100 }
  series = [
    { name = "largest subnet", mark = "line", file = stage.supernet.curve, x = "epoch", y = "top1_largest" },
    { name = "smallest subnet", mark = "line", file = stage.supernet.curve, x = "epoch", y = "top1_smallest" },
  ]
}

# ---------------------------------------------------------------------------------------------------
# What became of the paper's claims, and the page that shows it all.

locals {
  blocks   = stage.memory.blocks
  weights  = [for b in local.blocks : b.weights]
  maps     = [for b in local.blocks : b.activations]
  best87   = stage.raptornet["87ms"].best
  baseline = stage.baseline["0.5"].estimate
}

stage "table" "claims" {
  title = "The paper's claims, one by one"
  rows = [
    {
      claim   = "Activations: the first blocks need 4 to 10 times more than the last ones"
      ours    = "the first six blocks need ${format("%.1f", sum(slice(local.maps, 0, 6)) / sum(slice(local.maps, 13, 19)))} times as much as the last six"
      verdict = "reproduced"
    },
    {
      claim   = "Weights: most sit in the last six blocks, and the last two exceed the NPU's memory"
      ours    = "${format("%.0f", 100 * sum(slice(local.weights, 13, 19)) / sum(slice(local.weights, 0, 19)))} % of the weights before the classifier are in the last six blocks; the last two have ${format("%.0f", local.weights[17] / 1024)} and ${format("%.0f", local.weights[18] / 1024)} KiB beside a memory of ${format("%.0f", stage.memory.memory / 1024)} KiB"
      verdict = local.weights[17] > stage.memory.memory && local.weights[18] > stage.memory.memory ? "reproduced" : "not reproduced"
    },
    {
      claim   = "Uniform scaling trades MACs against μ as in table 1"
      ours    = "μ within ${format("%.1f", 100 * stage.raptor.sets["table 1"].mu_rms)} % rms by a model fitted to it, ${format("%.1f", 100 * stage.raptor.sets["table 1"].mu_loo)} % on networks left out"
      verdict = "reproduced by the model"
    },
    {
      claim   = "Table 2's widths have the most μ at their MACs"
      ours    = "${format("%.2f", 100 * stage.grid.standing.percentile)} % of the assignments of similar MACs have no more μ; ${stage.grid.standing.dominators} of 1,953,125 have more of both. The fit never saw it"
      verdict = "reproduced by the model"
    },
    {
      claim   = "At equal latency RaptorNet's μ is 50 % better than MobileNetV2's (its table says +97 %)"
      ours    = "+${format("%.0f", 100 * (local.best87.mu / local.baseline.mu - 1))} % under 87 ms: the model lets wide, resident layers run better than the paper's networks did"
      verdict = "reproduced in kind, not in size"
    },
    {
      claim   = "Up to 1.3 points more ImageNet top-1 at equal latency, or 20 % faster at equal accuracy"
      ours    = "accuracies on Fashion-MNIST only"
      verdict = "not reproducible here: 250 hours on four A40 GPUs"
    },
    {
      claim   = "One supernet serves every latency limit without training again"
      ours    = "Fashion-MNIST top-1 of ${format("%.1f", 100 * stage.supernet.top1_smallest)} % (smallest) to ${format("%.1f", 100 * stage.supernet.top1_largest)} % (largest subnet) with shared weights"
      verdict = "reproduced at another scale"
    },
  ]
  columns = [{ key = "claim" }, { key = "ours", title = "here" }, { key = "verdict" }]
}

stage "report" "page" {
  title = "Hardware-aware neural architecture search for a memory-constrained NPU, reproduced"
  text  = "Ours beside the paper's. Every number says whether it was measured, modelled, predicted or published, and which step it came from."
  sections = [
    { title = "Claims", tables = [stage.claims.html] },
    { title = "The hardware", text = join(" ", stage.raptor.summary), tables = [stage.table1.html, stage.hardware.html] },
    { title = "Memory", text = join(" ", stage.memory.summary), tables = [stage.memory_table.html], figures = [stage.figure1.svg] },
    { title = "Progressive widths", text = join(" ", stage.grid.summary), tables = [stage.table2.html], figures = [stage.grid_figure.svg] },
    { title = "Search at the paper's scale", tables = [stage.table3.html], figures = [stage.figure2.svg] },
    { title = "Search with measured accuracy", tables = [stage.search.html], figures = [stage.search_figure.svg, stage.curve_figure.svg] },
    {
      title = "What does not add up in the paper"
      text  = <<-EOT
        - Table 2's multiplier 1.0 is off its own grid of steps of 0.3.
        - The same network, MobileNetV2 0.5 at 160 pixels, has μ 0.115 in table 1 and 0.122 in table 3. Table 3 gives no resolution; the published accuracies identify it.
        - Table 1's MACs are above the published counts of MobileNetV2 0.5 (105 M against 97 M): they match a stem of 32 and a head of 1280 channels at every width.
        - Energy is power × latency in every row of table 3, 10.21 to 10.23 mW, and carries no information of its own.
        - "50 % better μ" is +97 % by table 3 (0.24 against 0.122).
        - The text says that widths above 0.5 do not fit Raptor; table 1 lists 0.6.
        - The MCUNet row is a result on an STM32F746; an F412 does not run at 216 MHz.
      EOT
    },
  ]
  recipe = "${path.recipe}/paper.hcl"
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
output "report" { value = stage.page.html }
