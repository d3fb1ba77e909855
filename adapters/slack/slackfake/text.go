package slackfake

import (
	"regexp"
	"strings"
)

var (
	dates      = regexp.MustCompile(`<!date\^\d+\^[^|>]*\|([^>]*)>`)
	toEntities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	entities   = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// visible is markup as a person sees it.
func visible(markup string) string {
	text := dates.ReplaceAllString(markup, "$1")
	return entities.Replace(strings.ReplaceAll(text, "*", ""))
}

// Text returns what a person reads in the message.
func (m Message) Text() string {
	if len(m.Blocks) == 0 {
		return visible(m.Summary)
	}
	return textOf(m.Blocks)
}

// Text returns what a person reads in the form.
func (v View) Text() string {
	blocks, _ := v.JSON["blocks"].([]any)
	return plainText(v.JSON["title"]) + "\n" + textOf(blocks)
}

func textOf(blocks []any) string {
	var lines []string
	add := func(raw any) {
		if t := plainText(raw); t != "" {
			lines = append(lines, t)
		}
	}
	for _, raw := range blocks {
		b := object(raw)
		add(b["text"])
		add(b["label"])
		add(b["hint"])
		for _, key := range []string{"fields", "elements"} {
			items, _ := b[key].([]any)
			for _, item := range items {
				if object(item)["type"] != "button" {
					add(item)
				}
			}
		}
	}
	return strings.Join(lines, "\n")
}

func plainText(raw any) string {
	t := object(raw)
	text, _ := t["text"].(string)
	if t["type"] == "mrkdwn" {
		return visible(text)
	}
	return text
}

// Buttons returns the labels of the message's buttons.
func (m Message) Buttons() []string {
	var labels []string
	for _, b := range m.buttons() {
		labels = append(labels, plainText(b["text"]))
	}
	return labels
}

func (m Message) buttons() []map[string]any {
	var found []map[string]any
	for _, raw := range m.Blocks {
		elements, _ := object(raw)["elements"].([]any)
		for _, e := range elements {
			if object(e)["type"] == "button" {
				found = append(found, object(e))
			}
		}
	}
	return found
}

// Inputs returns the labels of the form's inputs.
func (v View) Inputs() []string {
	var labels []string
	for _, b := range v.inputs() {
		labels = append(labels, plainText(b["label"]))
	}
	return labels
}

func (v View) inputs() []map[string]any {
	var found []map[string]any
	blocks, _ := v.JSON["blocks"].([]any)
	for _, raw := range blocks {
		if object(raw)["type"] == "input" {
			found = append(found, object(raw))
		}
	}
	return found
}

// Options returns the texts of the options that the input with this label
// lists, without those that must be searched.
func (v View) Options(label string) []string {
	var texts []string
	for _, b := range v.inputs() {
		if plainText(b["label"]) == label {
			for _, o := range listed(object(b["element"])) {
				texts = append(texts, plainText(o["text"]))
			}
		}
	}
	return texts
}

// listed are the options of an element, in groups or not.
func listed(element map[string]any) []map[string]any {
	var found []map[string]any
	collect := func(raw any) {
		options, _ := raw.([]any)
		for _, o := range options {
			found = append(found, object(o))
		}
	}
	collect(element["options"])
	groups, _ := element["option_groups"].([]any)
	for _, g := range groups {
		collect(object(g)["options"])
	}
	return found
}
