package web

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/errs"
)

var errForm = errs.New(errs.Invalid, "What was sent can't be read. Reload the page and try again.")

// posted reads what the browser sent.
func posted(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		return nil, errForm
	}
	return r.PostForm, nil
}

// say hands in words, as after a slash in chat.
func (a *App) say(w http.ResponseWriter, r *http.Request, v viewer) error {
	values, err := posted(r)
	if err != nil {
		return err
	}
	return a.answer(w, r, v, v.interaction(bot.Command{Text: strings.TrimSpace(values.Get("text"))}))
}

// press hands in a click.
func (a *App) press(w http.ResponseWriter, r *http.Request, v viewer) error {
	values, err := posted(r)
	if err != nil {
		return err
	}
	in := v.interaction(bot.Press{Action: values.Get("action"), Value: values.Get("value")})
	if message := values.Get("message"); message != "" {
		in.Message = &bot.MessageRef{Channel: string(v.person), ID: message}
	}
	return a.answer(w, r, v, in)
}

// submit hands in a form.
func (a *App) submit(w http.ResponseWriter, r *http.Request, v viewer) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	return a.answer(w, r, v, v.interaction(form))
}

// redraw hands in a form that is drawn anew for what was chosen in it.
func (a *App) redraw(w http.ResponseWriter, r *http.Request, v viewer) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	return a.answer(w, r, v, v.interaction(bot.Redraw(form)))
}

// formOf reads what stands in a form.
func formOf(r *http.Request) (bot.Submit, error) {
	values, err := posted(r)
	if err != nil {
		return bot.Submit{}, err
	}
	form := bot.Submit{Form: values.Get("form"), ID: values.Get("id"), Values: map[string][]string{}}
	for name, entered := range values {
		id, ok := strings.CutPrefix(name, valuePrefix)
		if !ok {
			continue
		}
		for _, text := range entered {
			// Browsers send line breaks as two characters.
			if text = strings.ReplaceAll(text, "\r\n", "\n"); text != "" {
				form.Values[id] = append(form.Values[id], text)
			}
		}
	}
	return form, nil
}

// options answers a search with what fits.
func (a *App) options(w http.ResponseWriter, r *http.Request, v viewer) error {
	q := r.URL.Query()
	search := bot.Search{Form: q.Get("form"), ID: q.Get("id"), Input: q.Get("input"), Text: q.Get("text")}
	found, ok := a.Bot.Handle(r.Context(), v.interaction(search)).(bot.Options)
	if !ok {
		return errForm
	}
	a.show(w, r, http.StatusOK, "options", grouped(prefixOf(search.ID)+search.Input, found.Options, nil))
	return nil
}

// answer shows what came of an interaction, in the part of the page that it is for.
func (a *App) answer(w http.ResponseWriter, r *http.Request, v viewer, in bot.Interaction) error {
	resp := a.Bot.Handle(r.Context(), in)
	if opened, ok := resp.(bot.OpenForm); ok && opened.Again {
		in.Opened = true
		resp = a.Bot.Handle(r.Context(), in)
	}
	switch resp := resp.(type) {
	case bot.Done:
		trigger := "usher:done"
		if resp.Filed != 0 {
			trigger = fmt.Sprintf(`{"usher:filed":{"at":%q}}`, v.base+"/requests/"+resp.Filed.String())
		}
		w.Header().Set("HX-Trigger", trigger)
		w.WriteHeader(http.StatusNoContent)
		return nil
	case bot.Tell:
		blocks, err := a.renderer(v.base).blocks(resp.Message.Blocks)
		if err != nil {
			return err
		}
		w.Header().Set("HX-Retarget", "#told")
		w.Header().Set("HX-Reswap", "innerHTML")
		w.Header().Set("HX-Reselect", ".note")
		w.Header().Set("HX-Trigger", "usher:done")
		a.show(w, r, http.StatusOK, "told", told{Summary: resp.Message.Summary, Blocks: blocks})
		return nil
	case bot.OpenForm:
		drawn := a.renderer(v.base)
		drawn.wholePage = r.PostForm.Get("page") != ""
		form, err := drawn.form(resp.Form)
		if err != nil {
			return err
		}
		a.show(w, r, http.StatusOK, "bare", form)
		return nil
	case bot.Correct:
		return a.correct(w, r, resp)
	default:
		return fmt.Errorf("web can't answer with %T", resp)
	}
}

// told is what only the viewer is shown.
type told struct {
	Summary string
	Blocks  template.HTML
}

// problem is what is wrong with one input; an empty sentence clears it.
type problem struct{ ID, Sentence string }

// correct puts problems at their inputs, and clears those that are solved. What
// was typed stays in the page.
func (a *App) correct(w http.ResponseWriter, r *http.Request, c bot.Correct) error {
	prefix := prefixOf(r.PostForm.Get("id"))
	problems := []problem{}
	whole := c.Problems[""]
	known := map[string]bool{"": true}
	for _, id := range r.PostForm["input"] {
		if !known[id] {
			problems = append(problems, problem{ID: prefix + id, Sentence: c.Problems[id]})
		}
		known[id] = true
	}
	for id, sentence := range c.Problems {
		if !known[id] {
			whole = strings.TrimSpace(whole + " " + sentence)
		}
	}
	problems = append(problems, problem{ID: prefix, Sentence: whole})
	w.Header().Set("HX-Reswap", "none")
	w.Header().Set("HX-Trigger-After-Settle", "usher:corrected")
	a.show(w, r, http.StatusUnprocessableEntity, "problems", problems)
	return nil
}
