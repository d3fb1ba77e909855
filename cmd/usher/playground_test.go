//go:build playground

package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// playgroundPolicy lets the one person that the test client has ask and decide.
const playgroundPolicy = `
people:
  - {email: alexw@example.com, name: Alex Wilber}
  - {email: meganb@example.com, name: Megan Bowen}
teams:
  - {name: it, title: IT, members: [alexw@example.com], channel: {teams: channel-announcements-id}}
request_types:
  - name: new-laptop
    title: New laptop
    team: it
    requesters: everyone
    steps:
      - question: {id: model, label: "Which model?", type: select, options: [13 inch, 16 inch], required: true}
      - question: {id: why, label: "What is it for?", type: text, required: true}
      - approval: {id: manager, title: Manager approval, approvers: [alexw@example.com]}
      - task: {id: order, title: Order it, assignees: []}
settings: {self_approval: named}
`

// playground is Microsoft's own test client, in a browser.
type playground struct{ pane }

// newPlayground starts usher, and the test client in front of it.
func newPlayground(t *testing.T) playground {
	t.Helper()

	program := os.Getenv("USHER_TEST_PLAYGROUND")
	require.NotEmpty(t, program, "run make playground, which installs the test client")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	client := "http://127.0.0.1:" + strconv.Itoa(port)

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(playgroundPolicy), 0o600))
	app, ended, stop := serveFor(t, Config{
		Listen: "127.0.0.1:0", DatabaseURL: "sqlite:" + filepath.Join(dir, "usher.db"), Policy: dir, LogLevel: "error",
		Teams: TeamsConfig{Anonymous: true, ServiceURL: []string{client + "/_connector"}},
	})
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "node", program, "-e", app+"/api/messages", "-c", "msteams", "-p", strconv.Itoa(port), "--disable-telemetry")
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), t.Output(), t.Output()
	cmd.Env = append(os.Environ(), "BROWSER=none")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	require.Eventually(t, func() bool {
		res, err := http.Get(client)
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil
	}, time.Minute, 100*time.Millisecond)
	tb := newTab(t, client, desk)
	t.Cleanup(func() {
		// What goes wrong in the client's own pages is not usher's.
		tb.mu.Lock()
		defer tb.mu.Unlock()
		tb.errs = nil
	})
	return playground{tb.open(t, "/")}
}

// say writes a message to usher.
func (p playground) say(t *testing.T, words string) {
	t.Helper()

	at := p.at(t, "write a message", `document.querySelector("[role=textbox][data-lexical-editor]")`)
	do(t, p.tab, chromedp.MouseClickXY(at.X, at.Y))
	do(t, p.tab, command(input.InsertText, input.InsertTextParams{Text: words}))
	p.press(t, "\r")
}

// TestPlayground asks, decides and hands over in Microsoft's own client, which
// opens no dialogs from cards: there the form is the message extension's.
func TestPlayground(t *testing.T) {
	t.Parallel()

	p := newPlayground(t)
	p.see(t, "Personal Chat")
	p.say(t, "request")
	p.see(t, "What do you need?")
	p.hit(t, "open the compose menu", `[...document.querySelectorAll("button[aria-haspopup=menu]")].findLast((e) => e.getBoundingClientRect().top > innerHeight - 150)`)
	p.hit(t, "choose the action", `[...document.querySelectorAll("[role=menuitem]")].find((e) => t.label(e) === "Action Command")`)
	p.button(t, "Create")
	p.pick(t, "What do you need?", "New laptop")
	p.button(t, "Continue")
	p.pick(t, "Which model?", "16 inch")
	p.hit(t, "fill in", byLabel+`("input:not([role])", args[0])`, "What is it for?")
	do(t, p.tab, command(input.InsertText, input.InsertTextParams{Text: "Building *all* of <it>"}))
	p.button(t, "Submit")
	p.see(t, "REQ-1 is filed.")
	p.hit(t, "close the dialog", `document.querySelector("[role=dialog] button[aria-label=Close]")`)

	p.see(t, "REQ-1 · New laptop", "Building *all* of <it>", "You are asked to approve or deny this")
	p.button(t, "Approve")
	p.see(t, "Approved by Alex Wilber", "Order it: unassigned")
	if shot := os.Getenv("USHER_PLAYGROUND_SHOT"); shot != "" {
		require.NoError(t, os.WriteFile(shot, p.screenshot(t), 0o644))
	}

	p.hit(t, "go to the channel", `document.querySelector("[role=treeitem][aria-label='My Team - Announcements']")`)
	p.see(t, "REQ-1 · New laptop", "Order it: unassigned")
	p.button(t, "Assign to me")
	p.see(t, "Assigned to Alex Wilber by Alex Wilber")
}

// see waits until the client shows all of the texts.
func (p playground) see(t *testing.T, texts ...string) {
	t.Helper()
	p.until(t, "see "+strings.Join(texts, ", "), "return args[0].every((text) => document.body.innerText.includes(text))", texts)
}

// button clicks on the newest button with this label, of a dialog if one is open.
func (p playground) button(t *testing.T, label string) {
	t.Helper()
	p.hit(t, "click on "+label, `[...(document.querySelector("[role=dialog]") ?? document).querySelectorAll("button")].findLast((e) => t.label(e) === args[0])`, label)
}

// byLabel finds an input of the open dialog by the words that name it.
const byLabel = `((selector, text) => [...document.querySelectorAll("[role=dialog] " + selector)].find((e) =>
	(e.getAttribute("aria-labelledby") ?? "").split(" ").some((id) => document.getElementById(id)?.innerText.startsWith(text))))`

// pick opens a list of the dialog and takes an option.
func (p playground) pick(t *testing.T, label, option string) {
	t.Helper()

	p.hit(t, "open "+label, byLabel+`("[role=combobox]", args[0])`, label)
	p.hit(t, "choose "+option, `[...document.querySelectorAll("[role=option]")].find((e) => t.label(e) === args[0])`, option)
}

// hit clicks on what a script finds.
func (p playground) hit(t *testing.T, what, find string, args ...any) {
	t.Helper()

	at := p.at(t, what, find, args...)
	do(t, p.tab, chromedp.MouseClickXY(at.X, at.Y))
}
