package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"eyrie/pipeline/cluster/kubernetes/api"
)

// client makes requests of an API server: the kubeconfig, its certificates, tokens and plugins are
// client-go's, and nothing else is.
type client struct {
	http      *http.Client
	base      string
	namespace string
	pause     time.Duration // before a request is made again; doubled each time
}

// connect reads the kubeconfig, or what a pod is given, and asks the server nothing.
func connect(context, namespace string) (*client, error) {
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{CurrentContext: context})
	c, err := config.ClientConfig()
	if err != nil {
		if clientcmd.IsEmptyConfig(err) {
			return nil, errors.New("no Kubernetes cluster is known here: neither KUBECONFIG nor ~/.kube/config names a file that says how to reach one")
		}
		return nil, fmt.Errorf("finding the Kubernetes cluster: %w", err)
	}
	if namespace == "" {
		if namespace, _, err = config.Namespace(); err != nil {
			return nil, err
		}
	}
	c.UserAgent = "eyrie"
	h, err := rest.HTTPClientFor(c)
	if err != nil {
		return nil, err
	}
	base, _, err := rest.DefaultServerUrlFor(c)
	if err != nil {
		return nil, err
	}
	return &client{http: h, base: strings.TrimSuffix(base.String(), "/"), namespace: namespace, pause: 500 * time.Millisecond}, nil
}

// jobs, pods and events are the paths of a namespace's objects.
func (c *client) jobs() string   { return "/apis/batch/v1/namespaces/" + c.namespace + "/jobs" }
func (c *client) pods() string   { return "/api/v1/namespaces/" + c.namespace + "/pods" }
func (c *client) events() string { return "/api/v1/namespaces/" + c.namespace + "/events" }

// tries is how often a request is made that fails as servers do which are busy or start.
const tries = 5

// do makes a request, whose answer is decoded into to unless that is nil. Each may be made again:
// to create is to find that there is one of that name, and to delete that there is none.
func (c *client) do(ctx context.Context, method, path string, body, to any) error {
	for n := 1; ; n++ {
		err := c.once(ctx, method, path, body, to)
		wait, again := pass(err)
		if !again || n == tries || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(max(wait, c.pause<<(n-1))):
		case <-ctx.Done():
			return err
		}
	}
}

// answer is an error of the server's, and how long it asks to be left alone.
type answer struct {
	*api.Status
	wait time.Duration
}

func (a *answer) Unwrap() error { return a.Status }

// pass reports whether an error passes.
func pass(err error) (wait time.Duration, passes bool) {
	var a *answer
	switch {
	case err == nil:
		return 0, false
	case errors.As(err, &a):
		return a.wait, a.Code == http.StatusTooManyRequests || a.Code >= 500
	}
	var u *unreachable // certificates aside, which stay as they are
	return 0, errors.As(err, &u) && !strings.Contains(err.Error(), "x509:")
}

// unreachable is an error of the network.
type unreachable struct {
	server string
	error
}

func (u *unreachable) Error() string { return "the API server " + u.server + ": " + u.error.Error() }
func (u *unreachable) Unwrap() error { return u.error }

// away says that the server could not be asked, without the request, which is long.
func (c *client) away(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &unreachable{c.base, err}
}

// code returns what the server has answered; 0 where it was no answer.
func code(err error) int {
	var s *api.Status
	if errors.As(err, &s) {
		return s.Code
	}
	return 0
}

func (c *client) once(ctx context.Context, method, path string, body, to any) error {
	r, err := c.open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer r.Close()
	if to == nil {
		_, err = io.Copy(io.Discard, r)
		return err
	}
	if text, ok := to.(*string); ok {
		b, err := io.ReadAll(io.LimitReader(r, 1<<20))
		*text = string(b)
		return err
	}
	return json.NewDecoder(r).Decode(to)
}

// open makes a request and returns the answer's body.
func (c *client) open(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json, */*")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	w, err := c.http.Do(r)
	if err != nil {
		return nil, c.away(err)
	}
	if w.StatusCode < 300 {
		return w.Body, nil
	}
	defer w.Body.Close()
	return nil, refusal(w)
}

// refusal reads an answer that is an error.
func refusal(w *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(w.Body, 64<<10))
	s := &api.Status{}
	if json.Unmarshal(b, s) != nil || s.Kind != "Status" {
		s = &api.Status{Reason: http.StatusText(w.StatusCode), Message: brief(string(b))}
	}
	s.Code = w.StatusCode
	seconds, _ := strconv.Atoi(w.Header.Get("Retry-After"))
	return &answer{s, min(time.Duration(seconds)*time.Second, 30*time.Second)}
}

func brief(text string) string {
	const most = 300
	if text = strings.TrimSpace(text); len(text) > most {
		return text[:most] + "…"
	}
	return text
}
