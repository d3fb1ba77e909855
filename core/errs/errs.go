// Package errs is the one error that people may read.
//
// Every other error is internal: it is logged once, where it stops, and shown
// as a reference only.
package errs

import (
	"errors"
	"fmt"
)

// Code says what went wrong in one word. It is itself an error, so that
// errors.Is(err, errs.Denied) works on everything that wraps an Error.
type Code string

const (
	Invalid     Code = "invalid"     // what was sent can't be taken as it is
	NotFound    Code = "not found"   // there is no such thing, or not for this person
	Denied      Code = "denied"      // this person may not do this
	Conflict    Code = "conflict"    // too late, or somebody was faster
	Unavailable Code = "unavailable" // a part is away for a moment; try again
)

// Error returns the code's word.
func (c Code) Error() string { return string(c) }

// Error is a refusal that a person reads.
type Error struct {
	Code    Code
	Message string            // a full sentence
	Fields  map[string]string // the sentence for each input that is wrong, by its id; may be empty
}

// New returns an Error with a sentence made as fmt.Sprintf makes it.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the code, for errors.Is.
func (e *Error) Unwrap() error { return e.Code }

// As returns the Error that err is or wraps, and whether there is one.
func As(err error) (*Error, bool) {
	e, ok := errors.AsType[*Error](err)
	return e, ok
}
