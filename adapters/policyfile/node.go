package policyfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// source is one file being read.
type source struct {
	name     string
	lines    []string
	anchors  map[string]ast.Node
	mistakes *Mistakes
}

// wrong records a mistake at a node.
func (s *source) wrong(n ast.Node, remedy, message string, args ...any) {
	s.wrongAt(lineOf(n), remedy, message, args...)
}

func (s *source) wrongAt(line int, remedy, message string, args ...any) {
	m := Mistake{File: s.name, Line: line, Message: fmt.Sprintf(message, args...), Remedy: remedy}
	if line >= 1 && line <= len(s.lines) {
		m.Source = s.lines[line-1]
	}
	*s.mistakes = append(*s.mistakes, m)
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		return lineOf(m.Values[0].Key)
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		return lineOf(m.Key)
	}
	return n.GetToken().Position.Line
}

// plain follows anchors, aliases and tags to the node that counts.
func (s *source) plain(n ast.Node) ast.Node {
	for {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		case *ast.AliasNode:
			target, ok := s.anchors[v.Value.GetToken().Value]
			if !ok {
				return n
			}
			n = target
		default:
			return n
		}
	}
}

// entry is one key of a mapping.
type entry struct {
	key   string
	node  ast.Node // of the key
	value ast.Node
}

// entries returns the keys of a mapping, and false for anything else.
func (s *source) entries(n ast.Node) ([]entry, bool) {
	var values []*ast.MappingValueNode
	switch v := s.plain(n).(type) {
	case *ast.MappingNode:
		values = v.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{v}
	default:
		return nil, false
	}
	var out []entry
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			merged, _ := s.entries(v.Value)
			out = append(out, merged...)
			continue
		}
		out = append(out, entry{key: v.Key.GetToken().Value, node: v.Key, value: s.plain(v.Value)})
	}
	return out, true
}

// fields says how the keys of a mapping are read.
type fields map[string]func(n ast.Node)

// mapping reads a mapping: each key by its field, once.
func (s *source) mapping(n ast.Node, what string, f fields) (seen map[string]ast.Node, ok bool) {
	entries, ok := s.entries(n)
	if !ok {
		s.wrong(n, "write it as key: value lines, with the keys "+keys(f), "%s must be a mapping", what)
		return nil, false
	}
	seen = map[string]ast.Node{}
	for _, e := range entries {
		if before, twice := seen[e.key]; twice {
			s.wrong(e.node, "keep one of them", "%s has the key %q twice; the first is in line %d", what, e.key, lineOf(before))
			continue
		}
		seen[e.key] = e.node
		read, known := f[e.key]
		if known {
			read(e.value)
			continue
		}
		remedy := "the keys are " + keys(f)
		if near := nearest(e.key, names(f)); near != "" {
			remedy = fmt.Sprintf("did you mean %q? %s", near, remedy)
		}
		s.wrong(e.node, remedy, "%s has no key %q", what, e.key)
	}
	return seen, true
}

// need records which keys are missing.
func (s *source) need(n ast.Node, what string, seen map[string]ast.Node, required ...string) {
	for _, key := range required {
		if _, ok := seen[key]; !ok {
			s.wrong(n, fmt.Sprintf("add %s: …", key), "%s has no %s", what, key)
		}
	}
}

func names(f fields) []string {
	all := make([]string, 0, len(f))
	for k := range f {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func keys(f fields) string { return strings.Join(names(f), ", ") }

// list returns the items of a list; nothing is an empty one.
func (s *source) list(n ast.Node, what string) []ast.Node {
	switch v := s.plain(n).(type) {
	case *ast.SequenceNode:
		items := make([]ast.Node, len(v.Values))
		for i, item := range v.Values {
			items[i] = s.plain(item)
		}
		return items
	case *ast.NullNode, nil:
		return nil
	default:
		s.wrong(n, "write it as a list: [a, b], or lines that begin with -", "%s must be a list", what)
		return nil
	}
}

// text returns a scalar as it is written, and false for anything else.
func (s *source) text(n ast.Node, what string) (string, bool) {
	switch v := s.plain(n).(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return v.GetToken().Value, true
	default:
		if t, ok := s.glued(v); ok {
			return t, true
		}
		s.wrong(n, "write one value, in quotes if it has special characters", "%s must be a text", what)
		return "", false
	}
}

// glued returns a text with a colon inside, such as team:it, which the YAML
// library takes for a mapping when it stands between braces. YAML wants a space
// after the colon of a mapping.
func (s *source) glued(n ast.Node) (string, bool) {
	entries, ok := s.entries(n)
	if !ok || len(entries) != 1 || entries[0].value == nil {
		return "", false
	}
	key, value := entries[0].node.GetToken(), entries[0].value.GetToken()
	glued := value != nil && key.Position.Line == value.Position.Line &&
		key.Position.Column+len([]rune(key.Value))+1 == value.Position.Column
	if !glued {
		return "", false
	}
	return key.Value + ":" + value.Value, true
}

// textUpTo reads a text that is not empty and has at most so many characters.
func (s *source) textUpTo(into *string, what string, most int) func(ast.Node) {
	return func(n ast.Node) {
		t, ok := s.text(n, what)
		if !ok {
			return
		}
		t = strings.TrimSpace(t)
		switch {
		case t == "":
			s.wrong(n, "write something", "%s is empty", what)
		case len([]rune(t)) > most:
			s.wrong(n, fmt.Sprintf("shorten it to %d characters", most), "%s is too long: it has %d characters", what, len([]rune(t)))
		}
		*into = t
	}
}

func (s *source) flag(into *bool, what string) func(ast.Node) {
	return func(n ast.Node) {
		b, ok := s.plain(n).(*ast.BoolNode)
		if !ok {
			s.wrong(n, "write true or false", "%s must be true or false", what)
			return
		}
		*into = b.Value
	}
}

// oneOf reads one of a few words.
func oneOf[T ~string](s *source, into *T, what string, words ...T) func(ast.Node) {
	return func(n ast.Node) {
		t, ok := s.text(n, what)
		if !ok {
			return
		}
		if !slices.Contains(words, T(t)) {
			s.wrong(n, "write one of: "+list(words), "%s can't be %q", what, t)
			return
		}
		*into = T(t)
	}
}

func list[T ~string](words []T) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return strings.Join(all, ", ")
}

// number reads a whole number in a range.
func (s *source) number(into *int, what string, least, most int) func(ast.Node) {
	return func(n ast.Node) {
		t, ok := s.text(n, what)
		if !ok {
			return
		}
		number, err := strconv.Atoi(t)
		if err != nil || number < least || number > most {
			s.wrong(n, fmt.Sprintf("write a whole number from %d to %d", least, most), "%s can't be %q", what, t)
			return
		}
		*into = number
	}
}

// nameOf reads the name of a thing.
func (s *source) nameOf(into *string, what string) func(ast.Node) {
	return s.called(into, what, people.ValidName, "small letters, digits and -, such as new-laptop")
}

// idOf reads the ID of a step. It may have a _, because CEL takes - for a minus.
func (s *source) idOf(into *string, what string) func(ast.Node) {
	return s.called(into, what, flow.ValidID, "small letters, digits, - and _, such as return_by")
}

func (s *source) called(into *string, what string, valid func(string) bool, remedy string) func(ast.Node) {
	return func(n ast.Node) {
		t, ok := s.text(n, what)
		if !ok {
			return
		}
		if !valid(t) || len(t) > maxName {
			s.wrong(n, fmt.Sprintf("use %s, at most %d characters", remedy, maxName), "%q can't be %s", t, what)
		}
		*into = t
	}
}

func (s *source) email(n ast.Node, what string) (string, bool) {
	t, ok := s.text(n, what)
	if !ok {
		return "", false
	}
	t = strings.TrimSpace(t)
	if !people.ValidEmail(t) {
		s.wrong(n, "write an address such as ana@acme.example", "%s: %q is no e-mail address", what, t)
		return "", false
	}
	return people.NormalEmail(t), true
}

func (s *source) duration(into *time.Duration, what string) func(ast.Node) {
	return func(n ast.Node) {
		t, ok := s.text(n, what)
		if !ok {
			return
		}
		d, err := flow.ParseDuration(t)
		if err != nil {
			s.wrong(n, "write it as 45m, 8h, 30d, 2w or P30D, at most 365d", "%s: %q is no duration", what, t)
			return
		}
		*into = d
	}
}
