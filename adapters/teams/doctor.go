package teams

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/usher-access/usher/bot"
)

// Check asks Microsoft whether the registration works, and looks whether Teams
// can reach usher at its public URL, and which version of the package people have.
func (a *Adapter) Check(ctx context.Context, publicURL, packageVersion string) []bot.Finding {
	if a.anonymous {
		return []bot.Finding{{OK: true, What: "Teams: for the local test client only, without tokens"}}
	}
	return []bot.Finding{
		a.checkToken(ctx), a.checkKeys(ctx), a.checkEndpoint(ctx, publicURL), a.checkPackage(ctx, packageVersion),
	}
}

// tokenRemedies are what to do about Microsoft's words for why there is no token.
var tokenRemedies = map[string]string{
	"AADSTS700016":  "The tenant doesn't know the app: correct TEAMS_APP_ID or TEAMS_TENANT_ID.",
	"AADSTS7000215": "Copy the secret's value, not its ID, into TEAMS_APP_PASSWORD.",
	"AADSTS7000222": "The secret has expired: create another one and put it into TEAMS_APP_PASSWORD.",
	"AADSTS7000229": "The app has no enterprise application in the tenant: create one in Entra.",
	"AADSTS90002":   "There is no such tenant: correct TEAMS_TENANT_ID.",
}

func (a *Adapter) checkToken(ctx context.Context) bot.Finding {
	_, err := a.tokens.token(ctx)
	if err == nil {
		return bot.Finding{OK: true, What: "Teams registration: Microsoft gives usher a token in tenant " + a.tenants[0]}
	}
	f := bot.Finding{
		What:   "Teams registration: " + err.Error(),
		Remedy: "Correct TEAMS_APP_ID, TEAMS_TENANT_ID and TEAMS_APP_PASSWORD, as the bot registration shows them.",
	}
	for word, remedy := range tokenRemedies {
		if strings.Contains(err.Error(), word) {
			f.Remedy = remedy
		}
	}
	return f
}

func (a *Adapter) checkKeys(ctx context.Context) bot.Finding {
	if err := a.bearers.keys.refresh(ctx); err != nil {
		return bot.Finding{
			What:   "Teams keys: can't be read: " + err.Error(),
			Remedy: "Let usher reach " + originOf(a.bearers.keys.openID) + ", or correct TEAMS_OPENID_URL.",
		}
	}
	return bot.Finding{OK: true, What: "Teams keys: can be read"}
}

// checkEndpoint looks whether the messaging endpoint answers as usher does: it
// refuses what carries no token.
func (a *Adapter) checkEndpoint(ctx context.Context, publicURL string) bot.Finding {
	endpoint := publicURL + Path
	remedy := "Set USHER_URL to where Teams reaches usher, and the bot's messaging endpoint to " + endpoint + "; then start usher serve."
	if u, err := url.Parse(publicURL); err != nil || u.Scheme != "https" {
		return bot.Finding{What: "Teams endpoint: " + endpoint + " is no https URL, which Teams wants", Remedy: remedy}
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader("{}"))
	if err != nil {
		return bot.Finding{What: "Teams endpoint: " + err.Error(), Remedy: remedy}
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := a.http.Do(req)
	if err != nil {
		return bot.Finding{What: "Teams endpoint: " + endpoint + " can't be reached from here", Remedy: remedy}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		return bot.Finding{What: fmt.Sprintf("Teams endpoint: %s answers with status %d, not as usher would", endpoint, res.StatusCode), Remedy: remedy}
	}
	return bot.Finding{OK: true, What: "Teams endpoint: " + endpoint + " answers"}
}

// checkPackage looks which version of the package is in the organisation's
// catalogue, which usher may do where it may install itself.
func (a *Adapter) checkPackage(ctx context.Context, ours string) bot.Finding {
	what := "Teams package: "
	if a.graph == nil {
		return bot.Finding{OK: true, What: what + "this usher's is " + ours + "; the catalogue's is not looked at without TEAMS_GRAPH_INSTALL"}
	}
	app, err := a.catalogued(ctx)
	if err != nil {
		return bot.Finding{
			What: what + err.Error(),
			Remedy: "Upload the package from usher manifest teams to the organisation's catalogue, and grant the app " +
				"AppCatalog.Read.All and TeamsAppInstallation.ReadWriteSelfForUser.All.",
		}
	}
	for _, d := range app.Definitions {
		if newer(ours, d.Version) {
			return bot.Finding{
				What:   fmt.Sprintf("%sthe catalogue's is %s, this usher's is %s", what, d.Version, ours),
				Remedy: "Upload the package from usher manifest teams once more.",
			}
		}
	}
	return bot.Finding{OK: true, What: what + "the catalogue's is as new as this usher's, " + ours}
}

// newer reports whether version a comes after version b.
func newer(a, b string) bool {
	parts := func(v string) [3]int {
		var p [3]int
		_, _ = fmt.Sscanf(v, "%d.%d.%d", &p[0], &p[1], &p[2]) // what is not there is 0
		return p
	}
	x, y := parts(a), parts(b)
	return slices.Compare(x[:], y[:]) > 0
}

// CheckChannel asks Teams whether usher is in a channel.
func (a *Adapter) CheckChannel(ctx context.Context, team, channel string) bot.Finding {
	what := fmt.Sprintf("Teams channel %s of team %s: ", channel, team)
	p, err := a.channelPlace(ctx, channel)
	if err != nil {
		return bot.Finding{What: what + err.Error(), Remedy: "Try again in a moment."}
	}
	var details any
	err = a.call(ctx, callMember, http.MethodGet, p.Service, conversationPath(p.Conversation)+"/pagedmembers?pageSize=50", nil, &details)
	if e, refused := errors.AsType[*callError](err); refused {
		return bot.Finding{
			What:   what + fmt.Sprintf("status %d %s", e.Status, e.Code),
			Remedy: "Add the app to the team of the channel, or correct the channel in the policy.",
		}
	}
	if err != nil {
		return bot.Finding{What: what + "Teams did not answer", Remedy: "Try again in a moment."}
	}
	return bot.Finding{OK: true, What: what + "the app is in it"}
}
