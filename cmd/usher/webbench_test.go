package main

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/store/storetest/pgtest"
)

// What the benchmark of the web app measures with.
var (
	benchRequests = number("BENCH_REQUESTS", 200_000)
	benchPages    = number("BENCH_PAGES", 500)
	benchPanes    = number("BENCH_PANES", 200)
)

// webBench is a web app in a process of its own, in front of many requests that
// all are of one requester and one team.
type webBench struct {
	*child
	clients []*http.Client // of the team's members, who approve; the first one asks
}

func newWebBench(b *testing.B) *webBench {
	b.Helper()

	p := newProvider(b)
	c := Config{DatabaseURL: pgtest.NewDatabase(b), OIDCIssuer: p.URL, OIDCClientID: clientID, OIDCClientSecret: clientSecret}
	var err error
	c.Listen, err = demoAddress(b.Context(), "127.0.0.1:0")
	require.NoError(b, err)
	w := &webBench{child: startChild(b, c)}
	seed(b, c.DatabaseURL, benchRequests, inSlack)
	db, err := sql.Open("pgx", c.DatabaseURL)
	require.NoError(b, err)
	defer db.Close()
	_, err = db.Exec(`INSERT INTO memberships SELECT 'team', 'it', 'p' || i, i FROM generate_series(1, $1::int) i`, benchPanes)
	require.NoError(b, err)
	for i := range benchPanes + 1 {
		w.clients = append(w.clients, &http.Client{Jar: p.signedIn(b, w.url, fmt.Sprintf("p%d@acme.example", i))})
	}
	return w
}

// read reads a page.
func (w *webBench) read(client *http.Client, path string) (string, error) {
	resp, err := client.Get(w.url + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return string(body), err
}

// BenchmarkPages reads pages of 50 requests out of many, at both ends of the
// lists and in their middle.
func BenchmarkPages(b *testing.B) {
	w := newWebBench(b)
	for _, list := range []struct {
		name, path string
		client     *http.Client
		deep       bool // it has a middle
	}{
		{"my requests", "/requests", w.clients[0], true},
		{"a team's requests", "/team/it", w.clients[1], true},
		{"my approvals", "/approvals", w.clients[1], false},
	} {
		var took []time.Duration
		for i := range benchPages {
			path := list.path
			if list.deep && i%2 == 1 {
				path += fmt.Sprintf("?below=REQ-%d", 100+(i*7919)%(benchRequests-100))
			}
			begun := time.Now()
			body, err := w.read(list.client, path)
			took = append(took, time.Since(begun))
			require.NoError(b, err)
			require.Equal(b, 50, strings.Count(body, `<article class="card"`), path)
		}
		slices.Sort(took)
		fmt.Printf("page of 50 out of %d, %s: p50 %s, p99 %s\n", benchRequests, list.name,
			took[len(took)/2].Round(100*time.Microsecond), took[len(took)*99/100].Round(100*time.Microsecond))
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, strings.ReplaceAll(list.name, " ", "-")+"-p99-ms")
	}
	w.stop(b)
}

var approveButton = regexp.MustCompile(`hx-vals="([^"]*&#34;approve&#34;[^"]*)"`)

// BenchmarkLivePanes lets members of a team look at one request, approves it,
// and waits until each of their pages has heard of it and shows it.
func BenchmarkLivePanes(b *testing.B) {
	w := newWebBench(b)
	const rounds = 5
	before := w.rss(b)
	events := make([]chan struct{}, benchPanes)
	for i := range events {
		events[i] = w.listen(b, w.clients[i+1])
	}
	open := w.rss(b)
	var heard, shown []time.Duration
	for round := range rounds {
		request, approver := fmt.Sprintf("REQ-%d", round+1), w.clients[round+2]
		body, err := w.read(approver, "/requests/"+request)
		require.NoError(b, err)
		vals := approveButton.FindStringSubmatch(body)
		require.NotNil(b, vals, body)
		var panes sync.WaitGroup
		var mu sync.Mutex
		var lastHeard time.Duration
		failed := make(chan error, benchPanes)
		begun := time.Now()
		for i, news := range events {
			panes.Go(func() {
				// News may be of the round before, as in a real page.
				for {
					<-news
					told := time.Since(begun)
					page, err := w.read(w.clients[i+1], "/requests/"+request)
					if err != nil || strings.Contains(page, "Approved by") {
						mu.Lock()
						lastHeard = max(lastHeard, told)
						mu.Unlock()
						failed <- err
						return
					}
				}
			})
		}
		resp, err := approver.PostForm(w.url+"/press", formOf(b, vals[1]))
		require.NoError(b, err)
		require.NoError(b, resp.Body.Close())
		require.Equal(b, http.StatusNoContent, resp.StatusCode)
		panes.Wait()
		shown, heard = append(shown, time.Since(begun)), append(heard, lastHeard)
		for range benchPanes {
			require.NoError(b, <-failed)
		}
	}
	slices.Sort(heard)
	slices.Sort(shown)
	peak := w.rss(b)
	fmt.Printf("%d live panes on one process: from click to all told %s, to all shown %s (medians of %d); RSS %d MB before, %d MB with all open, %d MB after\n",
		benchPanes, heard[rounds/2].Round(time.Millisecond), shown[rounds/2].Round(time.Millisecond), rounds, before, open, peak)
	b.ReportMetric(float64(shown[rounds/2].Milliseconds()), "all-shown-ms")
	b.ReportMetric(float64(peak), "RSS-MB")
	w.stop(b)
}

// listen opens a live page's stream and hands on that something changed.
func (w *webBench) listen(b *testing.B, client *http.Client) chan struct{} {
	b.Helper()

	resp, err := client.Get(w.url + "/events")
	require.NoError(b, err)
	require.Equal(b, http.StatusOK, resp.StatusCode)
	b.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && lines.Text() != "event: ready" {
	}
	news := make(chan struct{}, 100)
	go func() {
		for lines.Scan() {
			if lines.Text() == "event: change" {
				news <- struct{}{}
			}
		}
	}()
	return news
}

// formOf is what a button's values are as a form.
func formOf(b *testing.B, vals string) url.Values {
	b.Helper()

	form := url.Values{}
	for _, pair := range regexp.MustCompile(`&#34;(\w+)&#34;:&#34;([^&]*)&#34;`).FindAllStringSubmatch(vals, -1) {
		form.Set(pair[1], pair[2])
	}
	require.Len(b, form, 3, vals)
	return form
}
