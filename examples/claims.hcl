# The paper's first claim, measured at a laptop's scale: a space whose widths were chosen for the local memory holds
# better networks than uniform scaling does, at equal latency. Every network is trained alone, on the same images for
# as many epochs, with several seeds; the latencies are the cost model's. An hour and a half of CPU time; its figures are in
# docs/claims.md.
#
#   bin/runner run examples/claims.hcl

variable "data" {
  description = "Directory with Fashion-MNIST's four IDX files."
  type        = string
  default     = "../data/fashion-mnist"
}

variable "epochs" {
  description = "Passes over the training images, of each network and each supernet."
  type        = number
  default     = 5
}

variable "seeds" {
  description = "How many times everything that is random is done anew."
  type        = number
  default     = 3
}

# ---------------------------------------------------------------------------------------------------
# The hardware: Raptor as the paper's tables 1 and 3 have it where maps stay in the local memory, with a memory, and a
# limit of weights, as small for these networks as Raptor's are for MobileNetV2. The paper's RaptorNet contradicts this
# form of the cost model (examples/paper.hcl), which was ours when the networks of docs/claims.md were searched and trained.

locals {
  memory = 16384
  raptor = {
    clock           = "200MHz"
    pes             = 128
    rates           = { conv = 94.01, depthwise = 5.562, pointwise = 94.01, linear = 94.01 }
    memory          = 286720
    weight_limit    = 204800
    activation_cost = 8.088
    weight_cost     = 1.721
    tile_cost       = 1
    oversize_cost   = 1679000
    power           = "10.22mW"
    policy          = "mixed"
    scope           = "network"
  }
  small = merge(local.raptor, {
    name         = "Raptor, 16 KiB"
    memory       = local.memory
    weight_limit = floor(local.raptor.weight_limit * local.memory / local.raptor.memory)
  })
  backbone = { # MobileNetV2's shape, for 28 × 28 pixels
    input = 1
    stem  = { channels = 16, kernel = 3, stride = 1 }
    groups = [
      { t = 1, c = 16, n = 1, s = 1 },
      { t = 6, c = 24, n = 2, s = 2 },
      { t = 6, c = 32, n = 2, s = 2 },
      { t = 6, c = 64, n = 2, s = 1 },
    ]
    head    = 192
    classes = 10
  }
  rounding    = { divisor = 4 } # so few channels in multiples of 8 would leave little to choose
  resolutions = [20, 24, 28]
  elastic = {
    backbone    = local.backbone
    rounding    = local.rounding
    resolutions = local.resolutions
    expansions  = [3, 4, 6]
    depths      = [1, 2]
    kernels     = [3, 5]
  }
}

# ---------------------------------------------------------------------------------------------------
# Uniform scaling, as in figure 2: two multipliers, three resolutions. With 0.5 the weights of every block fit in the
# memory, with 0.6 no longer; its latencies are the limits under which the searches compete.

locals {
  uniform = merge(
    { for r in local.resolutions : "0.5@${r}" => { width = 0.5, resolution = r } },
    { for r in local.resolutions : "0.35@${r}" => { width = 0.35, resolution = r } },
    { "0.6@24" = { width = 0.6, resolution = 24 } }, # as fast as 0.5 at 28 pixels
  )
  scaled = { "0.5" = local.resolutions, "0.35" = local.resolutions, "0.6" = [24] }
  rivals = { "20" = "0.5@20", "24" = "0.5@24", "28" = "0.6@24" } # the best of them within each limit
  limits = { for r in local.resolutions : "${r}" => stage.uniform["0.5@${r}"].estimate.latency }
}

stage "deploy-estimate" "uniform" {
  for_each = local.uniform
  platform = local.small
  network = {
    backbone   = local.backbone
    width      = each.value.width
    scaling    = "all"
    rounding   = local.rounding
    resolution = each.value.resolution
  }
}

# ---------------------------------------------------------------------------------------------------
# The progressive space, a supernet of it for each seed, and the search under each limit: the paper's chain.

stage "progressive-grid" "widths" {
  platform    = local.small
  backbone    = local.backbone
  rounding    = local.rounding
  resolutions = [28]
  limit       = { latency = 1.4 * local.limits["28"] } # the space's largest network; its subnets are smaller
}

stage "dataset" "fashion" {
  source = "fashion-mnist"
  path   = var.data
}

locals {
  seeds    = { for s in range(var.seeds) : "seed ${s + 1}" => s + 1 }
  searches = merge([for r, limit in local.limits : { for s, seed in local.seeds : "${r}, ${s}" => { limit = limit, seed = seed, supernet = s } }]...)
}

stage "train-supernet" "supernet" {
  for_each     = local.seeds
  dataset      = stage.fashion.dataset
  space        = merge(local.elastic, { widths = stage.widths.best.widths })
  epochs       = var.epochs
  subnets      = 1
  rate         = 0.1
  warmup       = 0.2
  curve_images = 0
  seed         = each.value
}

stage "evolve" "progressive" {
  for_each = local.searches
  platform = local.small
  supernet = stage.supernet[each.value.supernet].weights
  dataset  = stage.fashion.dataset
  limit    = { latency = each.value.limit }
  seed     = each.value.seed
}

# What the same search finds where the widths are uniform: the share of the search alone.
stage "evolve" "elastic" {
  for_each = local.searches
  platform = local.small
  space    = merge(local.elastic, { widths = [for i in range(6) : 0.5] })
  limit    = { latency = each.value.limit }
  seed     = each.value.seed
}

# ---------------------------------------------------------------------------------------------------
# Every network trained alone, in the same way.

locals {
  plain = merge([for s, seed in local.seeds : { for name, n in local.uniform : "uniform ${name}, ${s}" => {
    seed = seed
    space = merge(local.elastic, {
      widths      = [for i in range(6) : n.width]
      resolutions = [n.resolution]
      expansions  = [6]
      depths      = [2]
      kernels     = [3]
    })
    subnet = {
      resolution = n.resolution
      groups     = [for g in local.backbone.groups : [for b in range(g.n) : { t = g.t, k = 3 }]]
    }
  } }]...)
  found = merge([for s, search in local.searches : {
    "elastic ${s}"     = merge(stage.elastic[s].network, { seed = search.seed })
    "progressive ${s}" = merge(stage.progressive[s].network, { seed = search.seed })
  }]...)
}

stage "train-supernet" "trained" {
  for_each = merge(local.plain, local.found)
  dataset  = stage.fashion.dataset
  space    = each.value.space
  phases = [{
    name   = "alone"
    rule   = "fixed"
    subnet = each.value.subnet
    epochs = var.epochs
    warmup = 0.2
  }]
  rate         = 0.1
  curve_images = 0
  seed         = each.value.seed
}

stage "deploy-estimate" "alone" {
  for_each = merge(local.plain, local.found)
  platform = local.small
  network  = { space = each.value.space, subnet = each.value.subnet }
  supernet = stage.trained[each.key].weights
  dataset  = stage.fashion.dataset
  images   = 100 # of the int8 network, which is not asked for here
}

# ---------------------------------------------------------------------------------------------------
# What came out: means over the seeds, and the standard deviation between them.

locals {
  kinds = merge(
    { for name, n in local.uniform : "uniform ${name}" => "uniform, ${name}" },
    { for r, limit in local.limits : "elastic ${r}" => "searched, uniform widths" },
    { for r, limit in local.limits : "progressive ${r}" => "searched, progressive widths" },
  )
  alone = { for name, kind in local.kinds : name => [for s, seed in local.seeds : stage.alone["${name}, ${s}"].estimate] }
  top1 = merge(
    { for name, runs in local.alone : name => runs[*].top1 },
    { for r, limit in local.limits : "shared ${r}" => [for s, seed in local.seeds : stage.progressive["${r}, ${s}"].best.top1] },
  )
  rows = { for name, kind in local.kinds : name => {
    network  = kind
    latency  = mean(local.alone[name][*].latency)
    mu       = mean(local.alone[name][*].mu)
    macs     = mean(local.alone[name][*].macs)
    params   = mean(local.alone[name][*].params)
    top1     = mean(local.top1[name])
    spread   = stddev(local.top1[name])
    interval = [mean(local.top1[name]) - stddev(local.top1[name]), mean(local.top1[name]) + stddev(local.top1[name])]
  } }
  shared = { for r, limit in local.limits : r => merge(local.rows["progressive ${r}"], {
    network  = "searched, progressive, shared weights"
    top1     = mean(local.top1["shared ${r}"])
    spread   = stddev(local.top1["shared ${r}"])
    interval = [mean(local.top1["shared ${r}"]) - stddev(local.top1["shared ${r}"]), mean(local.top1["shared ${r}"]) + stddev(local.top1["shared ${r}"])]
  }) }
  gains = { for r, limit in local.limits : r => {
    for name in ["elastic ${r}", "progressive ${r}", "shared ${r}"] : split(" ", name)[0] =>
    [for i, top1 in local.top1[name] : top1 - local.top1["uniform ${local.rivals[r]}"][i]]
  } }
}

stage "table" "claims" {
  title   = "Uniform scaling and the progressive space at equal latency"
  caption = "Each network trained alone for ${var.epochs} epochs, but for the rows that say otherwise; mean and standard deviation over ${var.seeds} seeds."
  rows = concat(
    flatten([for r, limit in local.limits : [
      local.rows["uniform 0.5@${r}"], local.rows["elastic ${r}"], local.rows["progressive ${r}"], local.shared[r],
    ]]),
    [for r, limit in local.limits : local.rows["uniform 0.35@${r}"]],
    [local.rows["uniform 0.6@24"]],
  )
  provenance = "legend"
  columns = [
    { key = "network" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.2f" },
    { key = "mu", title = "μ", format = "%.3f" },
    { key = "macs", title = "MACs (M)", scale = 1e-6, format = "%.2f" },
    { key = "params", title = "parameters", format = "integer" },
    { key = "top1", title = "top-1 (%)", scale = 100, format = "%.2f" },
    { key = "spread", title = "±", scale = 100, format = "%.2f" },
  ]
}

stage "table" "gains" {
  title   = "Points of top-1 over the best uniform network within the same latency"
  caption = "Differences seed by seed: mean and standard deviation."
  rows = flatten([for r, limit in local.limits : [for how, title in {
    elastic     = "searched, uniform widths, trained alone"
    progressive = "searched, progressive widths, trained alone"
    shared      = "searched, progressive widths, shared weights"
    } : {
    limit  = limit
    how    = title
    gain   = mean(local.gains[r][how])
    spread = stddev(local.gains[r][how])
    least  = min(local.gains[r][how]...)
    most   = max(local.gains[r][how]...)
  }]])
  provenance = "legend"
  columns = [
    { key = "limit", title = "within", unit = "ms", scale = 1000, format = "%.2f" },
    { key = "how", title = "network" },
    { key = "gain", title = "points", scale = 100, format = "%+.2f" },
    { key = "spread", title = "±", scale = 100, format = "%.2f" },
    { key = "least", scale = 100, format = "%+.2f" },
    { key = "most", scale = 100, format = "%+.2f" },
  ]
}

stage "plot" "figure" {
  title = "Each network trained alone: top-1 over latency"
  x     = { title = "latency on Raptor with 16 KiB", unit = "ms", scale = 1000 }
  y     = { title = "top-1", unit = "%", scale = 100 }
  series = concat(
    [for w, resolutions in local.scaled : {
      name       = "uniform, ${w}"
      mark       = length(resolutions) > 1 ? "line" : "points"
      rows       = [for r in resolutions : local.rows["uniform ${w}@${r}"]]
      x          = "latency"
      y          = "top1"
      y_interval = "interval"
    }],
    [for how, name in { elastic = "searched, uniform widths", progressive = "searched, progressive widths" } : {
      name                      = name
      mark                      = "points"
      rows                      = [for r, limit in local.limits : local.rows["${how} ${r}"]]
      x                         = "latency"
      y                         = "top1"
      y_interval                = "interval"
    }],
  )
}

stage "report" "page" {
  title = "Progressive widths against uniform scaling, at equal latency"
  text  = "Fashion-MNIST at a laptop's scale; latencies are modelled, accuracies measured on the 10,000 test images."
  sections = [
    { title = "At equal latency", tables = [stage.gains.html, stage.claims.html], figures = [stage.figure.svg] },
    { title = "The widths", text = join(" ", stage.widths.summary) },
  ]
  recipe = path.file
}

output "claims" {
  description = "Each network: what it costs, and how well it does."
  value       = stage.claims.text
}

output "gains" {
  description = "What the progressive space gains over uniform scaling, at equal latency."
  value       = stage.gains.text
}

output "widths" {
  description = "The progressive widths: stem, each group, head."
  value       = stage.widths.best.widths
}

output "figure" { value = stage.figure.svg }
output "report" { value = stage.page.html }
