package relaytest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Gate is a way to a server that can be shut.
type Gate struct {
	Address string

	to       string
	mu       sync.Mutex
	shut     bool
	conns    []net.Conn
	turned   int // connections that were not let through since it was shut
	onTurned func(n int)
}

// NewGate returns a way to a server's address, that ends with the test.
func NewGate(t testing.TB, to string) *Gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{Address: l.Addr().String(), to: to}
	t.Cleanup(func() { l.Close(); g.Shut(nil) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			g.pass(in)
		}
	}()
	return g
}

func (g *Gate) pass(in net.Conn) {
	g.mu.Lock()
	shut, told := g.shut, g.onTurned
	if shut {
		g.turned++
	}
	n := g.turned
	g.mu.Unlock()
	if shut {
		in.Close()
		if told != nil {
			told(n)
		}
		return
	}
	out, err := net.Dial("tcp", g.to)
	if err != nil {
		in.Close()
		return
	}
	g.mu.Lock()
	g.conns = append(g.conns, in, out)
	g.mu.Unlock()
	go func() { _, _ = io.Copy(out, in); out.Close() }()
	go func() { _, _ = io.Copy(in, out); in.Close() }()
}

// Shut cuts all connections, and lets no more through. turned, unless nil, is called for each that
// is not let through, with how many these are.
func (g *Gate) Shut(turned func(n int)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.turned, g.onTurned = true, 0, turned
	for _, c := range g.conns {
		c.Close()
	}
	g.conns = nil
}

// Open lets connections through again.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
}
