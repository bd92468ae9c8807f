package report_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"
)

// browser is a headless Chromium with one page, driven by the DevTools protocol
// over a pipe.
type browser struct {
	t       testing.TB
	in      *os.File
	out     *bufio.Reader
	calls   int
	session string
	phone   bool
	errors  []string // that the page's script threw
}

// startBrowser runs Chromium until the test ends. Under CI it must be there.
func startBrowser(t testing.TB) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI needs chromium: ", err)
		}
		t.Skip("no chromium: ", err)
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) }) // as far as that goes: helpers of the browser may outlive it for a moment
	cmd := exec.CommandContext(t.Context(), path,
		"--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+profile)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as the flag has it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &browser{t: t, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		in.Write([]byte(`{"id":0,"method":"Browser.close"}` + "\x00"))
		in.Close()
		cmd.Wait()
		out.Close()
	})
	// A browser that hangs must not hang the test.
	deadline := time.AfterFunc(2*time.Minute, func() { out.SetReadDeadline(time.Now()); cmd.Process.Kill() })
	t.Cleanup(func() { deadline.Stop() })

	var target struct{ TargetID string }
	b.call("Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.call("Runtime.enable", nil, nil)
	b.call("Page.enable", nil, nil)
	return b
}

type object map[string]any

// call sends a command and waits for its answer.
func (b *browser) call(method string, params object, result any) {
	b.t.Helper()
	b.calls++
	request := object{"id": b.calls, "method": method}
	if params != nil {
		request["params"] = params
	}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	line, err := json.Marshal(request)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(line, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		answer := b.receive(method)
		if answer.ID != b.calls {
			continue
		}
		if answer.Error != nil {
			b.t.Fatalf("%s: %s", method, answer.Error)
		}
		if result != nil {
			if err := json.Unmarshal(answer.Result, result); err != nil {
				b.t.Fatalf("%s: %v in %s", method, err, answer.Result)
			}
		}
		return
	}
}

type message struct {
	ID            int
	Method        string
	Params        json.RawMessage
	Result, Error json.RawMessage
}

// receive reads a message, and keeps what went wrong in the page.
func (b *browser) receive(waiting string) (m message) {
	b.t.Helper()
	line, err := b.out.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("chromium gave no answer to %s: %v", waiting, err)
	}
	if err := json.Unmarshal(line[:len(line)-1], &m); err != nil {
		b.t.Fatal(err)
	}
	if m.Method == "Runtime.exceptionThrown" {
		b.errors = append(b.errors, string(m.Params))
	}
	return m
}

// show opens a file at this size and theme (light or dark), as a phone or not.
func (b *browser) show(file string, width, height int, theme string, phone bool) {
	b.t.Helper()
	b.phone = phone
	b.call("Emulation.setDeviceMetricsOverride", object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}, nil)
	b.call("Emulation.setTouchEmulationEnabled", object{"enabled": phone}, nil)
	b.call("Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": theme}}}, nil)
	b.call("Page.navigate", object{"url": "file://" + file}, nil)
	for range 2000 {
		var state string
		b.eval(`location.href.startsWith("file:") ? document.readyState : ""`, &state)
		if state == "complete" {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.t.Fatalf("%s did not load", file)
}

// eval evaluates JavaScript in the page and decodes its value.
func (b *browser) eval(script string, value any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", object{"expression": script, "returnByValue": true, "awaitPromise": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("in the page: %s", answer.ExceptionDetails)
	}
	if value != nil {
		if err := json.Unmarshal(answer.Result.Value, value); err != nil {
			b.t.Fatalf("%v in %s", err, answer.Result.Value)
		}
	}
}
