package slackfake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// socket is one connection of the app.
type socket struct {
	conn *websocket.Conn

	mu   sync.Mutex
	acks map[string]chan json.RawMessage
}

// maxAck is what Slack drops an answer at, in bytes.
const maxAck = 20_480

const pingEvery = 5 * time.Second

func (f *Fake) serveSocket(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	s := &socket{conn: conn, acks: map[string]chan json.RawMessage{}}
	f.mu.Lock()
	disabled := f.disabled
	if !disabled {
		f.sockets = append(f.sockets, s)
	}
	f.mu.Unlock()
	if disabled {
		_ = s.write(map[string]any{"type": "disconnect", "reason": "link_disabled"})
		s.close()
		return
	}
	_ = s.write(map[string]any{
		"type": "hello", "num_connections": 1, "connection_info": map[string]any{"app_id": "A0USHER001"},
		"debug_info": map[string]any{"host": "fake", "approximate_connection_time": 18060},
	})
	f.mu.Lock()
	f.touch()
	f.mu.Unlock()
	go s.ping()
	f.read(s)
}

func (s *socket) ping() {
	for {
		if s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)) != nil {
			return
		}
		time.Sleep(pingEvery)
	}
}

func (s *socket) write(v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn.WriteJSON(v)
}

func (s *socket) close() { _ = s.conn.Close() }

// read takes acknowledgements until the connection ends.
func (f *Fake) read(s *socket) {
	defer f.drop(s)
	for {
		_, text, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		var ack struct {
			ID      string          `json:"envelope_id"`
			Payload json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(text, &ack) != nil {
			continue
		}
		if len(text) >= maxAck {
			f.mu.Lock()
			f.violate("an answer of %d bytes over the socket", len(text))
			f.mu.Unlock()
			continue
		}
		s.mu.Lock()
		waiting := s.acks[ack.ID]
		delete(s.acks, ack.ID)
		s.mu.Unlock()
		if waiting != nil {
			waiting <- ack.Payload
		}
	}
}

func (f *Fake) drop(s *socket) {
	s.close()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, other := range f.sockets {
		if other == s {
			f.sockets = append(f.sockets[:i], f.sockets[i+1:]...)
			break
		}
	}
	f.touch()
}

// Connected returns how many connections there are.
func (f *Fake) Connected() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sockets)
}

// Disconnect asks every connection to end, for a reason. With link_disabled it
// ends each new one at once, too.
func (f *Fake) Disconnect(reason string) {
	f.mu.Lock()
	sockets := append([]*socket{}, f.sockets...)
	f.disabled = reason == "link_disabled"
	f.mu.Unlock()
	for _, s := range sockets {
		_ = s.write(map[string]any{"type": "disconnect", "reason": reason})
		s.close()
	}
}

var errNotConnected = errors.New("the app has no connection")

// overSocket delivers an envelope to one of the connections and waits for its answer.
func (f *Fake) overSocket(ctx context.Context, kind string, payload json.RawMessage) (Answer, error) {
	f.mu.Lock()
	if len(f.sockets) == 0 {
		f.mu.Unlock()
		return Answer{}, errNotConnected
	}
	n := f.next()
	s := f.sockets[n%len(f.sockets)]
	f.mu.Unlock()
	id := fmt.Sprintf("00000001-0000-4000-8000-%012d", n)
	answered := make(chan json.RawMessage, 1)
	s.mu.Lock()
	s.acks[id] = answered
	s.mu.Unlock()
	start := time.Now()
	err := s.write(map[string]any{
		"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": kind != "events_api",
	})
	if err != nil {
		return Answer{}, err
	}
	select {
	case body := <-answered:
		if string(body) == "null" {
			body = nil
		}
		return Answer{Status: http.StatusOK, Body: body, Took: time.Since(start)}, nil
	case <-time.After(ackWithin):
		f.mu.Lock()
		f.violate("a %s envelope was not acknowledged", kind)
		f.mu.Unlock()
		return Answer{}, errors.New("not acknowledged")
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
}
