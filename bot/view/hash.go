package view

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Hash returns the same text for messages that show the same, and another for
// others.
func Hash(m Message) (string, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("hash message: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// MarshalJSON writes the moment, which the type's unexported fields would hide.
func (t Time) MarshalJSON() ([]byte, error) { return time.Time(t).UTC().MarshalJSON() }
