package slackfake

import (
	"slices"
	"time"
)

// Fault is what goes wrong with a call.
type Fault struct {
	Status     int           // an HTTP status such as 500 or 429; 0: 200
	Error      string        // Slack's word, with 200
	RetryAfter int           // seconds, with 429
	Applied    bool          // what was asked for is done all the same
	Delay      time.Duration // before the answer
	Times      int           // how often; 0: once
	Channel    string        // only calls about this channel; empty: all
}

// Fail lets the next calls of a method go wrong.
func (f *Fake) Fail(method string, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range max(fault.Times, 1) {
		f.faults[method] = append(f.faults[method], fault)
	}
}

// Down lets every call fail with 503 until it is called with false.
func (f *Fake) Down(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// fault takes what shall go wrong with this call. The lock is held.
func (f *Fake) fault(method string, p params) (Fault, bool) {
	if f.down {
		return Fault{Status: 503}, true
	}
	for i, fault := range f.faults[method] {
		if fault.Channel == "" || fault.Channel == p["channel"] {
			f.faults[method] = slices.Delete(f.faults[method], i, i+1)
			return fault, true
		}
	}
	return Fault{}, false
}
