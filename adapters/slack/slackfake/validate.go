package slackfake

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// validator finds what Slack would refuse about blocks and views. Lengths are
// in characters. Source: docs.slack.dev, reference/block-kit.
type validator struct {
	surface  string // message or modal
	problems []string
	total    int // characters of text
}

func (v *validator) wrong(at, format string, args ...any) {
	v.problems = append(v.problems, at+": "+fmt.Sprintf(format, args...))
}

// only finds properties that Slack doesn't know there.
func (v *validator) only(at string, m map[string]any, known ...string) {
	for k := range m {
		if !slices.Contains(known, k) {
			v.wrong(at, "invalid additional property: %s", k)
		}
	}
}

func (v *validator) modal(m map[string]any) {
	v.only("view", m, "type", "title", "blocks", "close", "submit", "private_metadata", "callback_id", "clear_on_close", "notify_on_close", "external_id")
	if m["type"] != "modal" {
		v.wrong("view/type", "must be modal")
	}
	v.text("view/title", m["title"], "plain_text", 24, true)
	v.text("view/close", m["close"], "plain_text", 24, false)
	v.text("view/submit", m["submit"], "plain_text", 24, false)
	v.length("view/private_metadata", m["private_metadata"], 3_000)
	v.length("view/callback_id", m["callback_id"], 255)
	blocks, _ := m["blocks"].([]any)
	v.blocks(blocks, 100)
	hasInput := slices.ContainsFunc(blocks, func(b any) bool { return object(b)["type"] == "input" })
	if hasInput && m["submit"] == nil {
		v.wrong("view/submit", "is required with inputs")
	}
}

func (v *validator) blocks(blocks []any, most int) {
	if len(blocks) > most {
		v.wrong("blocks", "no more than %d items allowed", most)
	}
	ids := map[string]bool{}
	for i, raw := range blocks {
		at := fmt.Sprintf("/blocks/%d", i)
		b := object(raw)
		if id, ok := b["block_id"].(string); ok && id != "" {
			if ids[id] {
				v.wrong(at, "block_id %s is there twice", id)
			}
			ids[id] = true
			v.length(at+"/block_id", id, 255)
		}
		v.block(at, b)
	}
}

func (v *validator) block(at string, b map[string]any) {
	switch b["type"] {
	case "section":
		v.only(at, b, "type", "block_id", "text", "fields", "accessory", "expand")
		if b["text"] == nil && b["fields"] == nil {
			v.wrong(at, "text or fields required")
		}
		v.text(at+"/text", b["text"], "", 3_000, false)
		fields, _ := b["fields"].([]any)
		if len(fields) > 10 {
			v.wrong(at+"/fields", "no more than 10 items allowed")
		}
		for _, f := range fields {
			v.text(at+"/fields", f, "", 2_000, true)
		}
	case "header":
		v.only(at, b, "type", "block_id", "text", "level")
		v.text(at+"/text", b["text"], "plain_text", 150, true)
	case "divider":
		v.only(at, b, "type", "block_id")
	case "context":
		v.only(at, b, "type", "block_id", "elements")
		elements, _ := b["elements"].([]any)
		if len(elements) == 0 || len(elements) > 10 {
			v.wrong(at+"/elements", "must be 1 to 10")
		}
		for _, e := range elements {
			v.text(at+"/elements", e, "", 3_000, true)
		}
	case "actions":
		v.only(at, b, "type", "block_id", "elements")
		elements, _ := b["elements"].([]any)
		if len(elements) == 0 || len(elements) > 25 {
			v.wrong(at+"/elements", "must be 1 to 25")
		}
		v.elements(at, elements)
	case "input":
		if v.surface != "modal" {
			v.wrong(at, "inputs are for modals")
		}
		v.only(at, b, "type", "block_id", "label", "element", "hint", "optional", "dispatch_action")
		v.text(at+"/label", b["label"], "plain_text", 2_000, true)
		v.text(at+"/hint", b["hint"], "plain_text", 2_000, false)
		v.element(at+"/element", object(b["element"]))
	default:
		v.wrong(at, "unsupported type: %v", b["type"])
	}
}

func (v *validator) elements(at string, elements []any) {
	ids := map[any]bool{}
	for i, raw := range elements {
		e := object(raw)
		if ids[e["action_id"]] {
			v.wrong(at, "action_id %v is there twice", e["action_id"])
		}
		ids[e["action_id"]] = true
		v.element(fmt.Sprintf("%s/elements/%d", at, i), e)
	}
}

func (v *validator) element(at string, e map[string]any) {
	v.length(at+"/action_id", e["action_id"], 255)
	v.text(at+"/placeholder", e["placeholder"], "plain_text", 150, false)
	switch e["type"] {
	case "button":
		v.only(at, e, "type", "action_id", "text", "value", "url", "style", "confirm", "accessibility_label")
		v.text(at+"/text", e["text"], "plain_text", 75, true)
		v.length(at+"/value", e["value"], 2_000)
		if s, ok := e["style"]; ok && s != "primary" && s != "danger" {
			v.wrong(at+"/style", "must be primary or danger")
		}
		if c, ok := e["confirm"]; ok {
			v.confirm(at+"/confirm", object(c))
		}
	case "static_select", "multi_static_select":
		v.only(at, e, "type", "action_id", "placeholder", "options", "option_groups", "initial_option", "initial_options", "max_selected_items")
		v.choices(at, e)
	case "external_select", "multi_external_select":
		v.only(at, e, "type", "action_id", "placeholder", "min_query_length", "initial_option", "initial_options", "max_selected_items")
	case "plain_text_input":
		v.only(at, e, "type", "action_id", "placeholder", "initial_value", "multiline", "min_length", "max_length")
		if n, ok := e["max_length"].(float64); ok && (n < 1 || n > 3_000) {
			v.wrong(at+"/max_length", "must be 1 to 3000")
		}
		v.length(at+"/initial_value", e["initial_value"], 3_000)
	case "number_input":
		v.only(at, e, "type", "action_id", "placeholder", "initial_value", "is_decimal_allowed", "min_value", "max_value")
		if _, ok := e["is_decimal_allowed"]; !ok {
			v.wrong(at, "is_decimal_allowed required")
		}
	case "datepicker":
		v.only(at, e, "type", "action_id", "placeholder", "initial_date", "confirm")
	default:
		v.wrong(at, "unsupported type: %v", e["type"])
	}
}

func (v *validator) choices(at string, e map[string]any) {
	options, _ := e["options"].([]any)
	groups, _ := e["option_groups"].([]any)
	if len(options) == 0 && len(groups) == 0 || len(options) > 0 && len(groups) > 0 {
		v.wrong(at, "must have either options or option_groups")
	}
	if len(groups) > 100 {
		v.wrong(at, "no more than 100 groups allowed")
	}
	v.options(at, options)
	for _, g := range groups {
		group := object(g)
		v.text(at+"/label", group["label"], "plain_text", 75, true)
		inner, _ := group["options"].([]any)
		v.options(at, inner)
	}
}

func (v *validator) options(at string, options []any) {
	if len(options) > 100 {
		v.wrong(at, "no more than 100 options allowed")
	}
	for _, raw := range options {
		o := object(raw)
		v.only(at, o, "text", "value", "description")
		v.text(at+"/text", o["text"], "plain_text", 75, true)
		v.text(at+"/description", o["description"], "plain_text", 75, false)
		v.length(at+"/value", o["value"], 150)
		if o["value"] == "" {
			v.wrong(at+"/value", "must not be empty")
		}
	}
}

func (v *validator) confirm(at string, c map[string]any) {
	v.only(at, c, "title", "text", "confirm", "deny", "style")
	v.text(at+"/title", c["title"], "plain_text", 100, true)
	v.text(at+"/text", c["text"], "", 300, true)
	v.text(at+"/confirm", c["confirm"], "plain_text", 30, true)
	v.text(at+"/deny", c["deny"], "plain_text", 30, true)
}

// text checks a text object; kind "" allows both.
func (v *validator) text(at string, raw any, kind string, most int, required bool) {
	if raw == nil {
		if required {
			v.wrong(at, "is required")
		}
		return
	}
	t := object(raw)
	v.only(at, t, "type", "text", "emoji", "verbatim")
	if kind != "" && t["type"] != kind {
		v.wrong(at+"/type", "must be %s", kind)
	}
	text, _ := t["text"].(string)
	if text == "" {
		v.wrong(at+"/text", "must be more than 0 characters")
	}
	v.length(at+"/text", text, most)
	v.total += utf8.RuneCountInString(text)
}

func (v *validator) length(at string, raw any, most int) {
	if s, ok := raw.(string); ok && utf8.RuneCountInString(s) > most {
		v.wrong(at, "must be less than %d characters", most+1)
	}
}

func object(raw any) map[string]any {
	m, _ := raw.(map[string]any)
	return m
}
