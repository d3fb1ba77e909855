package policyfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/usher-access/usher/core"
)

// Difference is one value of a thing that is not as it was.
type Difference struct {
	Path     string // the keys that lead to it
	Old, New string // as it is written; empty: there was or will be none
}

// Differences returns what is different between two things of the same kind, as
// core.PolicyChange has them, in the order in which they are written. One of
// them may be nil.
func Differences(before, after any) []Difference {
	old, now := leavesOf(before), leavesOf(after)
	var found []Difference
	for _, l := range now.all {
		if was := old.at(l.key); was.value != l.value {
			found = append(found, Difference{Path: l.path, Old: was.value, New: l.value})
		}
	}
	for _, l := range old.all {
		if now.at(l.key).key == "" {
			found = append(found, Difference{Path: l.path, Old: l.value})
		}
	}
	for _, l := range now.orders {
		if was := old.order(l.key); was.value != l.value && sameItems(was.value, l.value) {
			found = append(found, Difference{Path: l.path, Old: was.value, New: l.value})
		}
	}
	return found
}

// sameItems reports whether two orders are of the same items.
func sameItems(a, b string) bool {
	left, right := strings.Split(a, itemBreak), strings.Split(b, itemBreak)
	slices.Sort(left)
	slices.Sort(right)
	return slices.Equal(left, right)
}

// itemBreak stands between the items of an order.
const itemBreak = ", "

// leaf is a value of a tree.
type leaf struct {
	key   string // what tells it from other values
	path  string // the keys that lead to it, as they are shown
	value string
}

// leaves are the values of a tree, and the orders of its lists.
type leaves struct {
	all, orders []leaf
	places      map[string]int // of all, by key
}

func (l *leaves) at(key string) leaf {
	if i, ok := l.places[key]; ok {
		return l.all[i]
	}
	return leaf{}
}

func (l *leaves) order(key string) leaf {
	if i := slices.IndexFunc(l.orders, func(o leaf) bool { return o.key == key }); i >= 0 {
		return l.orders[i]
	}
	return leaf{}
}

func leavesOf(thing any) *leaves {
	l := &leaves{places: map[string]int{}}
	for _, item := range tree(thing) {
		if key := fmt.Sprint(item.Key); key != "name" && key != "email" || isPerson(thing) && key == "name" {
			l.add(key, item.Value)
		}
	}
	return l
}

func isPerson(thing any) bool {
	_, ok := thing.(core.PolicyPerson)
	return ok
}

func (l *leaves) add(path string, value any) {
	switch v := value.(type) {
	case yaml.MapSlice:
		for _, item := range v {
			if key := fmt.Sprint(item.Key); !isLabel(path, key, item.Value) {
				l.add(path+"."+key, item.Value)
			}
		}
	case []any:
		l.addList(path, v)
	default:
		l.leaf(path, path, shown(v))
	}
}

// addList adds the items of a list: those that are a text by themselves, because
// what matters is which of them there are, and mappings by their names.
func (l *leaves) addList(path string, items []any) {
	var order []string
	for i, item := range items {
		m, ok := item.(yaml.MapSlice)
		if !ok {
			l.leaf(path+"="+shown(item), path, shown(item))
			order = append(order, shown(item))
			continue
		}
		label := labelOf(m, i)
		order = append(order, label)
		l.add(path+"["+label+"]", m)
	}
	l.orders = append(l.orders, leaf{key: path, path: path, value: strings.Join(order, itemBreak)})
}

func (l *leaves) leaf(key, path, value string) {
	l.places[key] = len(l.all)
	l.all = append(l.all, leaf{key: key, path: path, value: value})
}

// isLabel reports whether the path has the value in it already.
func isLabel(path, key string, value any) bool {
	return (key == "id" || key == "name") && strings.Contains(path, "["+fmt.Sprint(value)+"]")
}

// labelOf returns what tells an item of a list from others: its name, or its
// step's ID, or its place.
func labelOf(m yaml.MapSlice, place int) string {
	if len(m) == 1 {
		if inner, ok := m[0].Value.(yaml.MapSlice); ok {
			m = inner
		}
	}
	at := slices.IndexFunc(m, func(item yaml.MapItem) bool { return item.Key == "id" || item.Key == "name" })
	if at < 0 {
		return strconv.Itoa(place + 1)
	}
	return fmt.Sprint(m[at].Value)
}

// shown is a value on one line.
func shown(v any) string {
	text := fmt.Sprint(v)
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
		return strconv.Quote(text)
	}
	return text
}
