// Package audit is the append-only record of every change: events in chains,
// each event sealed with the hash of the one before.
package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Event is one recorded change.
type Event struct {
	Chain  string // what it is about: REQ-12, person:ID, policy
	Seq    int64  // 1 is the chain's first
	At     time.Time
	Actor  string // a person's ID; empty: usher itself
	Via    string // the channel it came through
	Kind   string
	Step   string
	People []string // whom it concerns
	Note   string
	Hash   string // over all of the above and the hash of the event before
}

// Head is the end of a chain; the zero value is that of an empty one.
type Head struct {
	Seq  int64
	Hash string
}

// Append returns the event sealed as the next of its chain, and the new head.
// Times are kept to the microsecond, which is what every database keeps.
func (h Head) Append(e Event) (Event, Head) {
	e.Seq = h.Seq + 1
	e.At = e.At.UTC().Truncate(time.Microsecond)
	e.Hash = e.seal(h.Hash)
	return e, Head{Seq: e.Seq, Hash: e.Hash}
}

// seal returns the SHA-256 of the event's fields, each prefixed by its length
// so that no two events can read the same.
func (e Event) seal(prev string) string {
	h := sha256.New()
	write := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	for _, s := range []string{
		prev, e.Chain, fmt.Sprint(e.Seq), e.At.UTC().Format(time.RFC3339Nano),
		e.Actor, e.Via, e.Kind, e.Step, strings.Join(e.People, " "), e.Note,
	} {
		write(s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Broken is the first link of a chain that doesn't hold.
type Broken struct {
	Chain string
	Seq   int64
	Why   string
}

// Error names the link and what is wrong with it.
func (b *Broken) Error() string { return fmt.Sprintf("%s, event %d: %s", b.Chain, b.Seq, b.Why) }

// Follow returns the head after a recorded event. The error is a *Broken when
// the event does not hold as the next of its chain.
func (h Head) Follow(e Event) (Head, error) {
	if e.Seq != h.Seq+1 {
		return h, &Broken{Chain: e.Chain, Seq: h.Seq + 1, Why: "it is missing"}
	}
	want, next := h.Append(e)
	if want.Hash != e.Hash {
		return h, &Broken{Chain: e.Chain, Seq: e.Seq, Why: "it was changed after it was written"}
	}
	return next, nil
}
