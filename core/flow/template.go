package flow

import (
	"regexp"
	"slices"
	"strings"
)

// placeholder is {{name}}, which an action's parameters and the title of a task
// that gives access may have in them.
var placeholder = regexp.MustCompile(`\{\{([^{}]*)\}\}`)

// Names of placeholders. Beside them, requester.attributes.NAME stands for an
// attribute and answers.ID for an answer.
const (
	FillRequest   = "request" // its number, as people see it
	FillResource  = "resource"
	FillLevel     = "level"
	FillName      = "requester.name"
	FillEmail     = "requester.email"
	FillTitle     = "requester.title"
	FillAttribute = "requester.attributes."
	FillAnswer    = "answers."
)

// PlaceholderHelp lists what placeholders may name.
const PlaceholderHelp = "{{request}}, {{resource}}, {{level}}, {{requester.name}}, {{requester.email}}, {{requester.title}}, " +
	"{{requester.attributes.NAME}} or {{answers.ID}}"

// KnownPlaceholder reports whether a name always stands for something. Whether
// there is an answer with the ID of answers.ID depends on the flow.
func KnownPlaceholder(name string) bool {
	attribute, ok := strings.CutPrefix(name, FillAttribute)
	return ok && attribute != "" || slices.Contains([]string{FillRequest, FillResource, FillLevel, FillName, FillEmail, FillTitle}, name)
}

// Placeholders returns the names that stand in a text as {{name}}.
func Placeholders(text string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.TrimSpace(m[1]))
	}
	return names
}

// Fill returns the action with values where their names stand in its parameters.
func (a Action) Fill(value func(name string) string) Action {
	filled := make(map[string]string, len(a.Params))
	for key, text := range a.Params {
		filled[key] = Fill(text, value)
	}
	a.Params = filled
	return a
}

// Fill returns the text with values where their names stand in it.
func Fill(text string, value func(name string) string) string {
	return placeholder.ReplaceAllStringFunc(text, func(found string) string {
		return value(strings.TrimSpace(strings.Trim(found, "{}")))
	})
}
