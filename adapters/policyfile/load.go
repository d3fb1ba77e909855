// Package policyfile reads policy from a folder of YAML files, and finds all
// mistakes in it at once.
package policyfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/flow"
)

const (
	maxFile  = 1 << 20
	maxFiles = 1_000
	maxName  = 60
	// maxTitle is what fits into the lists of every chat.
	maxTitle       = 75
	maxDescription = 1_000
	maxLabel       = 150
)

// Rules checks what policy writes in CEL.
type Rules interface {
	Check(when flow.When, before []flow.Step) error
	CheckRule(rule string) error
	CheckAddresses(rule string, before []flow.Step) error
	Outcomes(when flow.When, before []flow.Step) ([]string, error)
}

// Load reads the *.yaml and *.yml files of a folder, in the order of their
// names. What they refer to must be in them, or be known already. The error is
// Mistakes when the files can be read and something in them is not right.
func Load(dir string, known core.Names, rules Rules) (core.Policy, error) {
	names, err := Files(dir)
	if err != nil {
		return core.Policy{}, err
	}
	switch {
	case len(names) == 0:
		return core.Policy{}, fmt.Errorf("policy folder %s has no *.yaml file", dir)
	case len(names) > maxFiles:
		return core.Policy{}, fmt.Errorf("policy folder %s has %d files; at most %d are read", dir, len(names), maxFiles)
	}
	r := newReader(known, rules)
	for _, name := range names {
		text, err := read(filepath.Join(dir, name))
		if err != nil {
			return core.Policy{}, err
		}
		r.file(name, text)
	}
	return r.finish()
}

// Files returns the names of a folder's policy files, sorted.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("policy folder %s can't be read: %w", dir, errors.Unwrap(err))
	}
	var found []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			found = append(found, e.Name())
		}
	}
	return found, nil
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("policy file: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("policy file %s is larger than 1 MB; split it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("policy file: %w", err)
	}
	return text, nil
}

// reader collects a policy from its files.
type reader struct {
	rules    Rules
	known    core.Names
	policy   core.Policy
	places   map[string]place // of what was named, by kind and name
	checks   []func()         // what can be looked at only when every file is read
	mistakes Mistakes

	levelNames map[string][]string // by resource
}

// place is where something stands.
type place struct {
	file string
	line int
}

func newReader(known core.Names, rules Rules) *reader {
	return &reader{rules: rules, known: known, places: map[string]place{}, levelNames: map[string][]string{}}
}

func (r *reader) finish() (core.Policy, error) {
	for _, check := range r.checks {
		check()
	}
	if len(r.mistakes) > 0 {
		return core.Policy{}, r.mistakes.sorted()
	}
	return r.policy, nil
}

var syntaxPlace = regexp.MustCompile(`^\[(\d+):\d+\] ([^\n]*)`)

func (r *reader) file(name string, text []byte) {
	s := &source{
		name: name, lines: strings.Split(string(text), "\n"),
		anchors: map[string]ast.Node{}, mistakes: &r.mistakes,
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		line, message := 1, err.Error()
		if m := syntaxPlace.FindStringSubmatch(message); m != nil {
			line, _ = strconv.Atoi(m[1])
			message = m[2]
		}
		s.wrongAt(line, "correct the YAML; look at the indentation, quotes and colons", "this is not YAML: %s", message)
		return
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if _, empty := doc.Body.(*ast.NullNode); empty {
			continue
		}
		ast.Walk(anchors{s}, doc.Body)
		s.mapping(doc.Body, "a policy", fields{
			"people":        r.each(s, "people", r.person),
			"groups":        r.each(s, "groups", r.group),
			"teams":         r.each(s, "teams", r.team),
			"resources":     r.each(s, "resources", r.resource),
			"sequences":     r.each(s, "sequences", r.sequence),
			"conditions":    r.each(s, "conditions", r.condition),
			"conflicts":     r.each(s, "conflicts", r.conflict),
			"request_types": r.each(s, "request_types", r.requestType),
			"settings":      func(n ast.Node) { r.settings(s, n) },
		})
	}
}

// anchors collects a document's anchors.
type anchors struct{ s *source }

func (a anchors) Visit(n ast.Node) ast.Visitor {
	if anchor, ok := n.(*ast.AnchorNode); ok {
		a.s.anchors[anchor.Name.GetToken().Value] = anchor.Value
	}
	return a
}

func (r *reader) each(s *source, what string, item func(*source, ast.Node)) func(ast.Node) {
	return func(n ast.Node) {
		for _, one := range s.list(n, what) {
			item(s, one)
		}
	}
}

// named remembers where something stands, and finds what has the same name.
func (r *reader) named(s *source, n ast.Node, kind, name string) {
	if name == "" {
		return
	}
	key := kind + " " + name
	if before, twice := r.places[key]; twice {
		s.wrong(n, "give one of them another name", "%s %q is there twice; the first is in %s:%d", kind, name, before.file, before.line)
		return
	}
	r.places[key] = place{file: s.name, line: lineOf(n)}
}

// needs checks, when all is read, that something is there.
func (r *reader) needs(s *source, n ast.Node, kind, name string, isKnown func() bool) {
	r.checks = append(r.checks, func() {
		if _, ok := r.places[kind+" "+name]; ok || isKnown() {
			return
		}
		remedy := fmt.Sprintf("add the %s to the policy, or correct the name", kind)
		if near := nearest(name, r.all(kind)); near != "" {
			remedy = fmt.Sprintf("did you mean %q? Otherwise %s", near, remedy)
		}
		s.wrong(n, remedy, "there is no %s %q", kind, name)
	})
}

func (r *reader) all(kind string) []string {
	var found []string
	for key := range r.places {
		if name, ok := strings.CutPrefix(key, kind+" "); ok {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

func (r *reader) needsPerson(s *source, n ast.Node, email string) {
	r.needs(s, n, "person", email, func() bool { return r.known.People[email] != "" })
}

func (r *reader) needsGroup(s *source, n ast.Node, name string) {
	r.needs(s, n, "group", name, func() bool { return r.known.Groups[name] })
}

func (r *reader) needsSequence(s *source, n ast.Node, name string) {
	r.needs(s, n, "sequence", name, func() bool { return r.known.Sequences[name] })
}

func (r *reader) needsTeam(s *source, n ast.Node, name string) {
	r.needs(s, n, "team", name, func() bool { return r.known.Teams[name] })
}
