package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/usher-access/usher/adapters/web"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/manifests"
)

type demoCommand struct {
	Keep string `placeholder:"DIR" help:"Keep the demo's database in this folder, and go on with it next time."`
	Open bool   `help:"Open the browser."`
}

// Help is shown by usher demo --help.
func (demoCommand) Help() string {
	return `Everybody in the demo is made up, and whoever opens its page may be any of them.
So it runs on this machine's own address only, and talks to no chat.

Examples:
  usher demo
  usher demo --open
  usher demo --keep my-demo
  USHER_POLICY=my-policy usher demo      your own policy and people`
}

// Run shows the demo until ctx ends.
func (d *demoCommand) Run(ctx context.Context, c *Config, out streams) error {
	dir, clean, err := d.folder()
	if err != nil {
		return err
	}
	defer clean()
	config, err := demoConfig(ctx, c, dir)
	if err != nil {
		return err
	}
	s, err := newDemo(ctx, config, dir, config.logger(out.err))
	if err != nil {
		return err
	}
	return s.run(ctx, func(addr string) {
		at := "http://" + addr
		fmt.Fprintf(out.out, "usher's demo is ready: %s\nRequest something on the left, and watch the other panes. Ctrl-C ends it.\n", at)
		if d.Open {
			if err := browse(ctx, at); err != nil {
				fmt.Fprintln(out.err, "usher: no browser could be opened; open the address yourself")
			}
		}
	})
}

// folder returns where the demo's files are, and what removes them at the end.
func (d *demoCommand) folder() (dir string, clean func(), err error) {
	if d.Keep != "" {
		return d.Keep, func() {}, os.MkdirAll(d.Keep, 0o700)
	}
	dir, err = os.MkdirTemp("", "usher-demo-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// demoConfig is a configuration for the demo: on this machine only, without chat,
// everything in one process.
func demoConfig(ctx context.Context, c *Config, dir string) (*Config, error) {
	listen, err := demoAddress(ctx, c.Listen)
	if err != nil {
		return nil, err
	}
	config := &Config{
		Listen: listen, URL: "http://" + listen, DatabaseURL: "sqlite:" + filepath.Join(dir, "usher.db"),
		Policy: c.Policy, Admins: c.Admins, LogLevel: c.LogLevel, LogFormat: c.LogFormat,
	}
	if c.LogLevel == "info" {
		config.LogLevel = "warn"
	}
	if config.Policy == "" {
		config.Policy, config.Admins = filepath.Join(dir, "policy"), []string{"team:security"}
		// Nobody listens to the sample's webhooks, so nobody needs to know it.
		config.WebhookSecret = []string{"whsec_" + base64.StdEncoding.EncodeToString([]byte(newID()))}
		err = writeSamplePolicy(config.Policy)
	}
	return config, err
}

// demoAddress returns an address of this machine only: the one that is asked
// for, or another port where that one is taken.
func demoAddress(ctx context.Context, listen string) (string, error) {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("the demo lets everybody be anybody, so it listens on this machine only; set USHER_LISTEN to 127.0.0.1:8080, not %s", listen)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		l, err = lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return "", fmt.Errorf("listen on %s: %w", listen, err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func writeSamplePolicy(dir string) error {
	const at = "policy/demo"
	entries, err := fs.ReadDir(manifests.DemoPolicy, at)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		text, err := fs.ReadFile(manifests.DemoPolicy, at+"/"+e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// newDemo puts the demo together, whose clock goes on as the folder has it.
func newDemo(ctx context.Context, c *Config, dir string, log *slog.Logger) (*server, error) {
	p, err := assemble(ctx, c, log, true)
	if err != nil {
		return nil, err
	}
	s := &server{parts: p, config: c, log: log}
	forward := &fastForward{server: s, file: filepath.Join(dir, "clock")}
	if err := forward.resume(); err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	err = s.setUp(ctx)
	if err == nil {
		var demo *web.Demo
		if demo, err = s.demo(ctx); err == nil {
			demo.Forward = forward.by
			err = s.setUpWeb(demo)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.stop(nil))
	}
	s.listenTo(s.routes())
	return s, nil
}

// maxPersonas is how many people of a policy the demo's stage offers.
const maxPersonas = 200

// demo makes everybody of the policy a persona. The stage begins with somebody
// who asks, their manager, and a team.
func (s *server) demo(ctx context.Context) (*web.Demo, error) {
	persons, err := s.core.People(ctx, "", maxPersonas)
	if err != nil {
		return nil, err
	}
	if len(persons) == 0 {
		return nil, errors.New("the policy has no active people, so there is nobody to show")
	}
	d := &web.Demo{Now: s.clock.now}
	handles := map[people.ID]string{}
	for _, p := range persons {
		handle, _, _ := strings.Cut(p.Email, "@")
		if slices.ContainsFunc(d.People, func(other web.Persona) bool { return other.Handle == handle }) {
			handle = string(p.ID)
		}
		teams, err := s.core.TeamsOf(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		handles[p.ID] = handle
		d.People = append(d.People, web.Persona{ID: p.ID, Handle: handle, Name: p.Name, Title: p.Title, Teams: teams})
	}
	d.Panes = firstPanes(persons, d.People, handles)
	return d, nil
}

// firstPanes returns what the stage shows at first.
func firstPanes(persons []people.Person, personas []web.Persona, handles map[people.ID]string) []string {
	at := slices.IndexFunc(persons, func(p people.Person) bool { return handles[p.Manager] != "" })
	asks := persons[max(at, 0)]
	panes := []string{"/as/" + handles[asks.ID] + "/"}
	if manager := handles[asks.Manager]; manager != "" {
		panes = append(panes, "/as/"+manager+"/approvals")
	}
	if p, team := workers(personas); team != "" {
		panes = append(panes, "/as/"+p.Handle+"/team/"+team)
	}
	return panes
}

// workers returns the team with the most members, and one of those.
func workers(personas []web.Persona) (who web.Persona, team string) {
	members := map[string]int{}
	for _, p := range personas {
		for _, t := range p.Teams {
			if members[t.Name]++; members[t.Name] > members[team] {
				team = t.Name
			}
		}
	}
	at := slices.IndexFunc(personas, func(p web.Persona) bool {
		return slices.ContainsFunc(p.Teams, func(t people.Team) bool { return t.Name == team })
	})
	if at < 0 {
		return web.Persona{}, ""
	}
	return personas[at], team
}

// forward makes the clock go ahead, and what is due by then happen.
func (s *server) forward(ctx context.Context, d time.Duration) error {
	s.clock.ahead.Add(int64(d))
	return s.queue.Hasten(ctx, d)
}

const (
	// stride is how much of the demo's time passes at once at least.
	stride = time.Minute
	// fastForwardTime is how long a fast-forward may take; what is left then
	// passes at once.
	fastForwardTime = 5 * time.Second
)

// fastForward makes the demo's clock go ahead, for one reader after the other.
type fastForward struct {
	*server
	file string // remembers how far the clock is ahead
	mu   sync.Mutex
}

// resume lets the clock go on from where it was.
func (f *fastForward) resume() error {
	text, err := os.ReadFile(f.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	ahead, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%s says no duration by which the demo's clock is ahead; remove it: %w", f.file, err)
	}
	f.clock.ahead.Store(int64(ahead))
	return nil
}

// by makes the clock go ahead from one moment to the next at which something is
// due, so that all of it happens in its own time.
func (f *fastForward) by(ctx context.Context, d time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx = context.WithoutCancel(ctx) // also when the reader goes elsewhere
	within, cancel := context.WithTimeout(ctx, fastForwardTime)
	defer cancel()
	for d > 0 {
		step := d
		if within.Err() == nil {
			next, err := f.queue.Next(ctx, d)
			if err != nil {
				return err
			}
			step = min(d, next.Truncate(stride)+stride)
		}
		if err := f.forward(ctx, step); err != nil {
			return err
		}
		d -= step
		if err := f.queue.Settle(within); err != nil && within.Err() == nil {
			return err
		}
	}
	ahead := time.Duration(f.clock.ahead.Load())
	return os.WriteFile(f.file, []byte(ahead.String()+"\n"), 0o600)
}

// browse opens an address in the reader's browser.
func browse(ctx context.Context, at string) error {
	name := "xdg-open"
	if runtime.GOOS == "darwin" {
		name = "open"
	}
	return exec.CommandContext(ctx, name, at).Start()
}
