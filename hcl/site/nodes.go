package site

import (
	"maps"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// Pods are what the jobs of Kubernetes are, each of which is a pod.
type Pods struct {
	Image          string
	Namespace      string            // "" for that of the context
	Context        string            // of the kubeconfig; "" for the current one, or that of the pod that this is
	Queue          string            // of Kueue; "" for none
	ServiceAccount string            // "" for the namespace's own
	NodeSelector   map[string]string // labels of nodes
	Tolerations    []string          // keys of taints that do not matter
	EnvFrom        []string          // names of Secrets whose entries are variables: the cache's credentials
	GPUResource    string
	User           int // that the pods run as; 0 for the image's
}

// Where nodes find inputs, the default first.
const storeShared, storeCache = "shared", "cache"

// where reads whether nodes see this machine's store.
func (b *block) where(s *Site, e *Executor) {
	e.Cache = b.choice("store", storeShared, storeCache) == storeCache
	e.Scratch = b.text("scratch")
	switch {
	case e.Cache && e.Runner == "" && b.Body.Attributes["runner"] == nil:
		b.report(b.Body.Attributes["store"].NameRange, "Missing attribute", "Nodes that do not see this machine's store have no copy of this program there: write runner, the path that it has on them.")
	case !e.Cache && e.Scratch != "":
		b.report(b.Body.Attributes["scratch"].NameRange, "No use", "Nodes that see this machine's store need no scratch; write store = %q, or leave scratch out.", storeCache)
	}
	if e.Cache {
		b.needsCache(s, "store")
	}
}

// needsCache notes that the executor needs a cache that is written to, of which the site file may
// tell behind it.
func (b *block) needsCache(s *Site, attribute string) {
	at := b.LabelRanges[0]
	if a := b.Body.Attributes[attribute]; a != nil {
		at = a.NameRange
	}
	s.later = append(s.later, func() {
		if slices.ContainsFunc(s.Caches, func(c Cache) bool { return c.Write }) {
			return
		}
		what := "and the site file has none; write a block cache \"s3\" \"team\" { … } with mode = \"" + modeReadWrite + "\"."
		if len(s.Caches) > 0 {
			what = "and cache \"" + s.Caches[0].Name + "\" at " + s.Caches[0].Pos("mode") + " is not written to; write mode = \"" + modeReadWrite + "\" there."
		}
		b.report(at, "No cache to write to", "Jobs of executor %q get what they read from a cache, and put there what they make, %s", b.Labels[1], what)
	})
}

// pods reads an executor of Kubernetes.
func (b *block) pods(s *Site, e *Executor) {
	b.remote(e)
	if a := b.Body.Attributes["setup"]; a != nil {
		b.report(a.NameRange, "No use", "A pod has what its image has; leave setup out.")
	}
	e.Image = b.needed("image", "registry.example.org/eyrie:1")
	e.Namespace, e.Context, e.Queue, e.ServiceAccount = b.text("namespace"), b.text("context"), b.text("queue"), b.text("service_account")
	e.NodeSelector, e.Tolerations, e.EnvFrom = b.words("node_selector"), b.list("tolerations"), b.list("env_from")
	if e.GPUResource = b.text("gpu_resource"); e.GPUResource == "" {
		e.GPUResource = "nvidia.com/gpu"
	}
	e.User = b.count("user")
	if e.Runner == "" {
		e.Runner = "runner"
	}
	b.choice("store", storeCache) // may be written, and is nothing else
	e.Cache, e.Scratch = true, b.text("scratch")
	b.needsCache(s, "")
}

// words is an object whose values are text.
func (b *block) words(name string) map[string]string {
	v, a := b.value(name, cty.Map(cty.String))
	if a == nil {
		return nil
	}
	all := map[string]string{}
	values := v.AsValueMap()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key].IsNull() || strings.TrimSpace(key) == "" {
			b.report(a.Expr.Range(), "Wrong type", "%s: %q is null.", name, key)
			return nil
		}
		all[key] = values[key].AsString()
	}
	return all
}
