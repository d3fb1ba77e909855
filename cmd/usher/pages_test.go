package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// file asks for something on the web as one of the demo's people.
func file(t *testing.T, tb *tab, who, title string, answers map[string]string) pane {
	t.Helper()

	p := tb.open(t, "/as/"+who+"/")
	p.click(t, title)
	for label, answer := range answers {
		if strings.HasPrefix(label, "Which model") || strings.HasPrefix(label, "What access") {
			p.choose(t, label, answer)
		} else {
			p.fill(t, label, answer)
		}
	}
	p.click(t, "Submit")
	p.sees(t, "REQ-", "History")
	return p
}

func laptopAnswers(model, why string) map[string]string {
	return map[string]string{"Which model?": model, "What is it for?": why}
}

func TestWebDenyTakesAReason(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	file(t, tb, "ana", "New laptop", laptopAnswers("13 inch", "Because"))
	bo := tb.open(t, "/as/bo/approvals")
	bo.click(t, "Deny")
	bo.sees(t, "Reason")
	bo.fill(t, "Reason", "   ")
	bo.click(t, "Deny")
	bo.sees(t, "reason")
	require.Equal(t, "   ", bo.value(t, "Reason"), "what was typed stays")
	bo.fill(t, "Reason", "We have <b>enough</b> laptops")
	bo.click(t, "Deny")
	bo.sees(t, "Nothing waits for your approval")
	tb.open(t, "/as/ana/requests/REQ-1").sees(t, "Denied by Bo Lindqvist", "Reason: We have <b>enough</b> laptops")
}

func TestWebRequiredFieldsKeepWhatWasTyped(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	p := tb.open(t, "/as/ana/new/request-type/production-database")
	p.choose(t, "What access?", "read")
	p.fill(t, "For how long?", "soon")
	p.click(t, "Submit")
	p.sees(t, "Please answer this.", "45m")
	require.Equal(t, "soon", p.value(t, "For how long?"))
	require.Equal(t, "read", p.value(t, "What access?"))
	const wrong = `[...document.querySelectorAll("[aria-invalid=true]")]`
	p.until(t, "two inputs say that they are wrong, and the first has the focus",
		"const wrong = "+wrong+"; return wrong.length === 2 && document.activeElement === wrong[0]")
	var invalid []string
	p.eval(t, "return "+wrong+".map((e) => e.labels[0].textContent.trim())", &invalid)
	require.Equal(t, []string{"For how long? *", "Why do you need it? *"}, invalid)
	p.fill(t, "For how long?", "8h")
	p.fill(t, "Why do you need it?", "To look\nclosely")
	p.click(t, "Submit")
	p.sees(t, "REQ-1", "To look\nclosely", "8h")
}

func TestWebAsksTheRequesterForMoreInformation(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	file(t, tb, "ana", "New laptop", laptopAnswers("13 inch", "Because"))
	bo := tb.open(t, "/as/bo/approvals")
	bo.click(t, "Ask for more information")
	bo.fill(t, "Question", "Is yours broken?")
	bo.click(t, "Ask")
	bo.sees(t, "Bo Lindqvist asks: Is yours broken?")
	ana := tb.open(t, "/as/ana/tasks")
	ana.sees(t, "Is yours broken?", "You are asked for more information.")
	ana.click(t, "Answer")
	ana.fill(t, "Answer", "It is")
	ana.click(t, "Submit")
	ana.sees(t, "You have no tasks.")
	tb.open(t, "/as/bo/approvals").sees(t, "Ana Ruiz answers: It is", "You are asked to approve or deny this:")
}

func TestWebPointsToWhatWasAskedForAlready(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	p := tb.open(t, "/as/di/new/resource/incident-list")
	p.fill(t, "Why do you need it?", "On call")
	p.click(t, "Submit")
	p.sees(t, "REQ-1", "waiting for Kim Park")
	again := tb.open(t, "/as/di/new/resource/incident-list")
	again.sees(t, "You have asked for this already: REQ-1.")
	again.misses(t, "Submit")
	again.click(t, "REQ-1")
	again.isAt(t, "/as/di/requests/REQ-1")
}

func TestWebTasksHoldWhatGivesAccess(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	p := tb.open(t, "/as/ana/new/resource/github")
	p.choose(t, "Level", "Organisation admin")
	p.fill(t, "Why do you need it?", "Hooks")
	p.click(t, "Submit")
	p.sees(t, "waiting for Bo Lindqvist")
	tb.open(t, "/as/bo/approvals").click(t, "Approve")
	tb.open(t, "/as/ivy/approvals").click(t, "Approve")
	jo := tb.open(t, "/as/jo/tasks")
	jo.sees(t, "REQ-1 · GitHub · Organisation admin", "You are asked to do this:", "Make them an admin")
	jo.click(t, "Mark as done")
	jo.click(t, "Mark as done")
	jo.sees(t, "You have no tasks.")
	access := tb.open(t, "/as/ana/access")
	access.sees(t, "Access given until", "Active")
}

func TestWebOffersToEscalateOnce(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	p := tb.open(t, "/as/ed/new/resource/erp") // Ed owns it, and asks for it
	p.choose(t, "Level", "Pay")
	p.fill(t, "For how long?", "30d")
	p.fill(t, "Why do you need it?", "Invoices")
	p.click(t, "Submit")
	p.sees(t, "waiting for Fay Okafor", "Cancel request")
	require.Equal(t, 1, strings.Count(p.text(t), "Escalate…"))
}

func TestWebAssignAndReassign(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	file(t, tb, "ana", "New laptop", laptopAnswers("13 inch", "Because"))
	tb.open(t, "/as/bo/approvals").click(t, "Approve")
	ivy := tb.open(t, "/as/ivy/team/it?show=unassigned")
	ivy.sees(t, "REQ-1", "Order it: unassigned")
	ivy.click(t, "Assign…")
	ivy.choose(t, "Person", "Jo Pinto")
	ivy.click(t, "Assign")
	ivy.sees(t, "There is nothing here")
	jo := tb.open(t, "/as/jo/tasks")
	jo.sees(t, "REQ-1", "Order it", "Assigned to Jo Pinto by Ivy Chen")
	ivy = tb.open(t, "/as/ivy/requests/REQ-1")
	ivy.click(t, "Reassign…")
	ivy.choose(t, "Person", "Kim Park")
	ivy.click(t, "Reassign")
	ivy.sees(t, "Reassigned from Jo Pinto to Kim Park by Ivy Chen")
	tb.open(t, "/as/jo/tasks").sees(t, "You have no tasks")
	kim := tb.open(t, "/as/kim/tasks")
	kim.sees(t, "REQ-1", "Mark as done")
}

func TestWebCancelAsksFirst(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	p := file(t, tb, "ana", "New laptop", laptopAnswers("13 inch", "Because"))
	p.click(t, "Cancel request")
	p.sees(t, "Cancel REQ-1?")
	p.click(t, "Keep it")
	p.sees(t, "Pending")
	p.click(t, "Cancel request")
	p.in("#confirm").click(t, "Cancel request")
	p.sees(t, "Cancelled by Ana Ruiz")
	p.misses(t, "Cancel request")
	tb.open(t, "/as/bo/approvals").sees(t, "Nothing waits for your approval")
	ended := tb.open(t, "/as/ana/requests")
	ended.sees(t, "You have no open requests")
	ended.click(t, "Ended")
	ended.sees(t, "REQ-1")
}

func TestWebQuorumShowsItsProgress(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	file(t, tb, "ana", "Production database", map[string]string{
		"What access?": "read", "For how long?": "8h", "Why do you need it?": "To look",
	})
	tb.open(t, "/as/kim/approvals").click(t, "Approve")
	cy := tb.open(t, "/as/cy/approvals")
	cy.sees(t, "1 of 2 approved: Kim Park")
	tb.open(t, "/as/ana/requests").sees(t, "1 of 2 approved: Kim Park")
	tb.open(t, "/as/cy/approvals").click(t, "Approve")
	tb.open(t, "/as/ana/requests/REQ-1").sees(t, "Approved by Kim Park, Cy Abara")
	tb.open(t, "/as/lee/approvals").sees(t, "Nothing waits for your approval")
}

func TestWebAnothersRequestIsNotThere(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	file(t, tb, "ana", "New laptop", laptopAnswers("13 inch", "Because"))
	refused := tb.open(t, "/as/ed/requests/REQ-1")
	refused.sees(t, "Not Found", "To the first page")
	refused.misses(t, "laptop", "Ana")
	resp, err := http.Get(tb.url + "/as/ed/requests/REQ-1")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	tb.open(t, "/as/ed/team/it").sees(t, "Not Found")
	tb.open(t, "/as/bo/requests/REQ-1").sees(t, "Approve")
}

func TestWebSubmittingTwiceIsOneRequest(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	p := tb.open(t, "/as/ana/new/request-type/repair")
	p.fill(t, "What is broken?", "The screen")
	// The same form as fast as no hand can, past the page's own guard too.
	var answered []int
	p.eval(t, `const form = document.querySelector("form[hx-post$=submit]");
		const send = () => fetch(form.getAttribute("hx-post"), {method: "POST", body: new URLSearchParams(new FormData(form))}).then((r) => r.status);
		return Promise.all([send(), send(), send()])`, &answered)
	require.Equal(t, []int{http.StatusNoContent, http.StatusNoContent, http.StatusNoContent}, answered)
	p.clickTimes(t, "Submit", 2)
	p.isAt(t, "/as/ana/requests/REQ-1")
	require.Equal(t, 1, requestsOf(t, tb, "ana"))
}

func TestWebGoingBackAfterSubmittingFilesNothingTwice(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	p := file(t, tb, "ana", "Repair", map[string]string{"What is broken?": "The screen"})
	tb.back(t)
	p.isAt(t, "/as/ana/")
	p.sees(t, "What do you need?")
	require.Equal(t, 1, requestsOf(t, tb, "ana"))

	// A form that was opened before can't be sent a second time either.
	p = tb.open(t, "/as/ana/new/request-type/repair")
	p.fill(t, "What is broken?", "The keyboard")
	var again string
	p.eval(t, `return document.querySelector("form[hx-post$=submit]").outerHTML`, &again)
	p.click(t, "Submit")
	p.sees(t, "REQ-2")
	p.until(t, "send the old form", `const holder = document.createElement("div");
		holder.innerHTML = args[0];
		const sent = new FormData(holder.firstChild);
		for (const area of holder.querySelectorAll("textarea")) sent.set(area.name, "The keyboard");
		const answer = await fetch("/as/ana/submit", {method: "POST", body: new URLSearchParams(sent)});
		return answer.headers.get("HX-Trigger").includes("REQ-2")`, again)
	require.Equal(t, 2, requestsOf(t, tb, "ana"))
}

// requestsOf counts what somebody has open.
func requestsOf(t *testing.T, tb *tab, who string) int {
	t.Helper()

	p := tb.open(t, "/as/"+who+"/requests")
	p.sees(t, "My requests")
	var n int
	p.eval(t, `return document.querySelectorAll("article.card").length`, &n)
	return n
}

func TestWebFindsWhatToRequest(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	p := tb.open(t, "/as/ana/")
	p.sees(t, "New laptop", "Repair", "Production database")
	p.fill(t, "Search what you can request", "LAP")
	p.misses(t, "Repair", "Production database")
	p.sees(t, "New laptop")
	p.press(t, "\r")
	p.sees(t, "Which model?")
	p.click(t, "Cancel")
	p.fill(t, "Search what you can request", "<i>nothing</i>")
	p.sees(t, "Nothing that you can request contains “<i>nothing</i>”")
}

func TestWebWorksWithTheKeyboardAlone(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	p := tb.open(t, "/as/ana/new/request-type/repair")
	p.sees(t, "What is broken?")
	p.press(t, "\t")
	var focused string
	p.eval(t, "return document.activeElement.textContent", &focused)
	require.Equal(t, "Skip to the content", focused)
	p.press(t, "\r")
	p.press(t, "\t")
	p.press(t, "The screen")
	p.press(t, "\t\t\r")
	p.sees(t, "REQ-1", "The screen")
	p.until(t, "reach a button by the keyboard", `document.querySelector(".danger").focus(); return document.activeElement.textContent === "Cancel request"`)
	p.press(t, "\r")
	p.sees(t, "Cancel REQ-1?")
	p.press(t, "\t")
	p.press(t, "\x1b")
	p.sees(t, "Pending")
}

func TestWebAsksForAResource(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, `
people:
  - {email: ana@acme.example, name: Ana Ruiz}
  - {email: cy@acme.example, name: Cy Abara}
`+offered), desk)
	p := tb.open(t, "/as/ana/")
	p.click(t, "CRM")
	p.sees(t, "Level: Write")
	p.isAccessible(t)
	p.click(t, "Submit")
	p.sees(t, "REQ-1 · CRM · Write", "waiting for Cy Abara")
	tb.open(t, "/as/cy/approvals").click(t, "Approve")
	access := tb.open(t, "/as/ana/access")
	access.sees(t, "CRM")
	access.isAccessible(t)
}

// nasty is what somebody types who wishes to break pages.
const nasty = `"><img src=x onerror=alert(1)><script>alert(2)</script>&lt;` + "AVeryLongWordWithoutAnyBreakAVeryLongWordWithoutAnyBreakAVeryLongWordWithoutAnyBreak"

func TestWebPagesFitAndAreAccessibleAndShowTypedMarkupAsText(t *testing.T) {
	t.Parallel()

	at := demoFor(t, "")
	tb := newTab(t, at, desk)
	file(t, tb, "ana", "New laptop", laptopAnswers("13 inch", nasty))
	file(t, tb, "ana", "New laptop", laptopAnswers("16 inch", nasty))
	file(t, tb, "ana", "Repair", map[string]string{"What is broken?": nasty})
	denied := tb.open(t, "/as/bo/requests/REQ-1")
	denied.click(t, "Deny")
	denied.fill(t, "Reason", nasty)
	denied.click(t, "Deny")
	denied.sees(t, "Denied by Bo Lindqvist")
	tb.open(t, "/as/bo/requests/REQ-2").click(t, "Approve")

	const refused = "/as/ed/requests/REQ-1"
	pages := []string{
		"/", "/as/ana/", "/as/ana/?text=" + url.QueryEscape(nasty), "/as/ana/new/request-type/new-laptop", "/as/ana/new/request-type/travel-card", "/as/ana/new/request-type/conference",
		"/as/ana/requests", "/as/ana/requests?show=ended", "/as/ana/requests/REQ-1", "/as/ana/requests/REQ-2", "/as/ana/requests/REQ-3",
		"/as/fay/approvals", "/as/kim/approvals", "/as/ivy/tasks", "/as/ivy/team/it", "/as/ivy/team/it?show=done", "/as/ivy/team/it?show=mine",
		refused, "/as/ana/access", "/as/ana/delegation", "/as/ivy/resources/github", "/as/ana/new/resource/github",
		"/as/kim/resources", "/as/kim/sequences",
	}
	for name, l := range map[string]look{
		"Light": desk, "Dark": {width: desk.width, height: desk.height, dark: true}, "Phone": phone,
		"DarkPhone": {width: phone.width, height: phone.height, dark: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			tb := newTab(t, at, l)
			for _, path := range pages {
				p := tb.open(t, path)
				p.until(t, "be ready", "return t.ready()")
				require.Equal(t, path == refused, p.status(t) != http.StatusOK, path)
				p.fits(t)
				p.isAccessible(t)
				p.isHarmless(t)
			}
			p := tb.open(t, "/as/fay/requests/REQ-2")
			p.click(t, "Deny")
			p.sees(t, "Reason")
			p.fits(t)
			p.isAccessible(t)
			p.click(t, "Deny")
			p.sees(t, "Please")
			p.isAccessible(t)
			p = tb.open(t, "/as/ana/new/request-type/production-database")
			p.click(t, "Submit")
			p.sees(t, "Please answer this.")
			p.fits(t)
			p.isAccessible(t)
			p = tb.open(t, "/as/ana/requests/REQ-3")
			p.click(t, "Cancel request")
			p.sees(t, "Cancel REQ-3?")
			p.isAccessible(t)
			require.NotEmpty(t, tb.screenshot(t))
		})
	}
}

// status is the HTTP status of the page.
func (p pane) status(t *testing.T) int {
	t.Helper()

	var status int
	p.eval(t, `return performance.getEntriesByType("navigation")[0].responseStatus`, &status)
	return status
}

// isHarmless fails when something that somebody typed became part of the page.
func (p pane) isHarmless(t *testing.T) {
	t.Helper()

	var found int
	p.eval(t, `return document.querySelectorAll("img, script:not([src]), [onerror]").length`, &found)
	require.Zero(t, found, p.path(t))
}

func TestWebAdministratorsSeeWhoHasWhatAndTakeNothingAway(t *testing.T) {
	t.Parallel()

	tb := newTab(t, demoFor(t, ""), desk)
	p := tb.open(t, "/as/ana/new/resource/github")
	p.choose(t, "Level", "Member")
	p.fill(t, "For how long?", "5d")
	p.fill(t, "Why do you need it?", "To build")
	p.click(t, "Submit")
	p.sees(t, "Access given until")
	tb.open(t, "/as/ivy/resources/github").sees(t, "Who has GitHub", "Ana Ruiz", "Take away…")
	kim := tb.open(t, "/as/kim/resources/github")
	kim.sees(t, "Who has GitHub", "Ana Ruiz")
	kim.misses(t, "Take away…")
}
