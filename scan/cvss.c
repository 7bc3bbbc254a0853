#include "scan/cvss.h"

#include "base/obj.h"
#include "scan/version_int.h"

/*
 * The base scores of CVSS: version 2 (guide, section 3.2.1), 3.0 and 3.1
 * (specification, section 7.1), and what words say.
 */
#define METRICS_MAX 64

struct metric {
	struct span name, value;
};

struct metrics {
	struct metric rows[METRICS_MAX];
	size_t n;
};

/* What a value of a metric weighs. */
struct weight {
	const char *name;
	const char *value;
	double weight;
};

/* --- reading ------------------------------------------------------------- */

static bool
word_ok(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]))
			return (false);
	return (s.n > 0);
}

static const struct metric *
metric_find(const struct metrics *m, struct span name)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		if (span_eq(m->rows[i].name, name))
			return (&m->rows[i]);
	return (NULL);
}

/* NAME ":" VALUE *( "/" NAME ":" VALUE ), none twice. */
static bool
metrics_read(struct span text, struct metrics *m)
{
	struct metric one;
	struct span rest;

	m->n = 0;
	if (span_has_suffix(text, SPAN("/")))
		return (false);
	while (span_split(&text, '/', &rest)) {
		if (!span_split(&rest, ':', &one.name))
			return (false);
		one.value = rest;
		if (!word_ok(one.name) || !word_ok(one.value) ||
		    m->n == METRICS_MAX || metric_find(m, one.name) != NULL)
			return (false);
		m->rows[m->n++] = one;
	}
	return (m->n > 0);
}

static bool
weigh(const struct metrics *m, const struct weight *table, size_t n,
    const char *name, double *weight_r)
{
	const struct metric *one = metric_find(m, span_of(name));
	size_t i;

	if (one == NULL)
		return (false);
	for (i = 0; i < n; i++)
		if (span_is(one->name, table[i].name) &&
		    span_is(one->value, table[i].value)) {
			*weight_r = table[i].weight;
			return (true);
		}
	return (false);
}

enum severity
cvss_severity(double score)
{
	if (score >= 9)
		return (SEVERITY_CRITICAL);
	if (score >= 7)
		return (SEVERITY_HIGH);
	if (score >= 4)
		return (SEVERITY_MEDIUM);
	return (score > 0 ? SEVERITY_LOW : SEVERITY_INFORMATIONAL);
}

/* --- version 3 ----------------------------------------------------------- */

static const struct weight weights3[] = {
	{ "AV", "N", 0.85 },
	{ "AV", "A", 0.62 },
	{ "AV", "L", 0.55 },
	{ "AV", "P", 0.2 },
	{ "AC", "L", 0.77 },
	{ "AC", "H", 0.44 },
	{ "PR", "N", 0.85 },
	{ "PR", "L", 0.62 },
	{ "PR", "H", 0.27 },
	{ "UI", "N", 0.85 },
	{ "UI", "R", 0.62 },
	{ "S", "U", 0 },
	{ "S", "C", 1 },
	{ "C", "H", 0.56 },
	{ "C", "L", 0.22 },
	{ "C", "N", 0 },
	{ "I", "H", 0.56 },
	{ "I", "L", 0.22 },
	{ "I", "N", 0 },
	{ "A", "H", 0.56 },
	{ "A", "L", 0.22 },
	{ "A", "N", 0 },
};

/* To the nearest; of what is not below 0. */
static long
nearest(double x)
{
	return ((long)(x + 0.5));
}

static double
power(double x, unsigned n)
{
	double y = 1;

	while (n-- > 0)
		y *= x;
	return (y);
}

/* Up to one decimal, as 3.1 has it: without what binary fractions add. */
static double
round_up(double x)
{
	long n = nearest(x * 100000);

	n = n / 10000 + (n % 10000 > 0);
	return ((double)n / 10);
}

static double
score3(const double w[8])
{
	enum { AV, AC, PR, UI, S, C, I, A };
	bool changed = w[S] > 0;
	double pr = w[PR], base, impact, exploit;

	if (changed && pr < 0.8)
		pr = pr > 0.5 ? 0.68 : 0.5;
	base = 1 - (1 - w[C]) * (1 - w[I]) * (1 - w[A]);
	impact = changed ? 7.52 * (base - 0.029) - 3.25 * power(base - 0.02, 15)
			 : 6.42 * base;
	exploit = 8.22 * w[AV] * w[AC] * pr * w[UI];
	if (impact <= 0)
		return (0);
	base = (changed ? 1.08 : 1) * (impact + exploit);
	return (base > 10 ? 10 : round_up(base));
}

static enum rc
read3(const struct metrics *m, double *score_r)
{
	static const char *const names[] = { "AV", "AC", "PR", "UI", "S", "C",
		"I", "A" };
	double w[ARRAY_LEN(names)];
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (!weigh(m, weights3, ARRAY_LEN(weights3), names[i], &w[i]))
			return (RC_INVALID);
	*score_r = score3(w);
	return (RC_OK);
}

/* --- version 2 ----------------------------------------------------------- */

static const struct weight weights2[] = {
	{ "AV", "L", 0.395 },
	{ "AV", "A", 0.646 },
	{ "AV", "N", 1 },
	{ "AC", "H", 0.35 },
	{ "AC", "M", 0.61 },
	{ "AC", "L", 0.71 },
	{ "Au", "M", 0.45 },
	{ "Au", "S", 0.56 },
	{ "Au", "N", 0.704 },
	{ "C", "N", 0 },
	{ "C", "P", 0.275 },
	{ "C", "C", 0.66 },
	{ "I", "N", 0 },
	{ "I", "P", 0.275 },
	{ "I", "C", 0.66 },
	{ "A", "N", 0 },
	{ "A", "P", 0.275 },
	{ "A", "C", 0.66 },
};

static enum rc
read2(const struct metrics *m, double *score_r)
{
	static const char *const names[] = { "AV", "AC", "Au", "C", "I", "A" };
	enum { AV, AC, AU, C, I, A };
	double w[ARRAY_LEN(names)], impact, exploit, score;
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (!weigh(m, weights2, ARRAY_LEN(weights2), names[i], &w[i]))
			return (RC_INVALID);
	impact = 10.41 * (1 - (1 - w[C]) * (1 - w[I]) * (1 - w[A]));
	exploit = 20 * w[AV] * w[AC] * w[AU];
	score = (0.6 * impact + 0.4 * exploit - 1.5) * (impact > 0 ? 1.176 : 0);
	*score_r = (double)nearest((score > 0 ? score : 0) * 10) / 10;
	return (RC_OK);
}

/* There is nothing above high. */
static enum severity
severity2(double score)
{
	enum severity s = cvss_severity(score);

	return (s == SEVERITY_CRITICAL ? SEVERITY_HIGH : s);
}

/* --- version 4 ----------------------------------------------------------- */

static const struct weight weights4[] = {
	{ "AT", "N", 0 },
	{ "AT", "P", 1 },
	{ "UI", "N", 0.85 },
	{ "UI", "P", 0.62 },
	{ "UI", "A", 0.62 },
	{ "VC", "H", 0.56 },
	{ "VC", "L", 0.22 },
	{ "VC", "N", 0 },
	{ "VI", "H", 0.56 },
	{ "VI", "L", 0.22 },
	{ "VI", "N", 0 },
	{ "VA", "H", 0.56 },
	{ "VA", "L", 0.22 },
	{ "VA", "N", 0 },
	{ "SC", "H", 1 },
	{ "SC", "L", 1 },
	{ "SC", "N", 0 },
	{ "SI", "H", 1 },
	{ "SI", "L", 1 },
	{ "SI", "N", 0 },
	{ "SA", "H", 1 },
	{ "SA", "L", 1 },
	{ "SA", "N", 0 },
};

/* Requirements of the attack (AT) make it as complex as AC:H does; an effect on
 * other systems is a changed scope. */
static enum rc
read4(const struct metrics *m, enum severity *severity_r)
{
	static const char *const names[] = { "AT", "UI", "VC", "VI", "VA", "SC",
		"SI", "SA" };
	enum { AT, UI, VC, VI, VA, SC, SI, SA };
	double w[ARRAY_LEN(names)], av, ac, pr;
	size_t i;

	if (!weigh(m, weights3, ARRAY_LEN(weights3), "AV", &av) ||
	    !weigh(m, weights3, ARRAY_LEN(weights3), "AC", &ac) ||
	    !weigh(m, weights3, ARRAY_LEN(weights3), "PR", &pr))
		return (RC_INVALID);
	for (i = 0; i < ARRAY_LEN(names); i++)
		if (!weigh(m, weights4, ARRAY_LEN(weights4), names[i], &w[i]))
			return (RC_INVALID);
	*severity_r = cvss_severity(score3((const double[8]){
	    av,
	    w[AT] > 0 ? 0.44 : ac,
	    pr,
	    w[UI],
	    w[SC] + w[SI] + w[SA],
	    w[VC],
	    w[VI],
	    w[VA],
	}));
	return (RC_OK);
}

/* --- any of them --------------------------------------------------------- */

enum rc
cvss_read(struct span vector, double *score_r, enum severity *severity_r)
{
	const struct span head = SPAN("CVSS:");
	struct span version = SPAN_NONE;
	struct metrics m;
	enum rc rc;

	*score_r = 0;
	*severity_r = SEVERITY_UNDEFINED;
	if (span_has_prefix(vector, head)) {
		skip(&vector, head.n);
		(void)span_split(&vector, '/', &version);
	} else if (vector.n > 2 && vector.p[0] == '(' &&
		   vector.p[vector.n - 1] == ')') {
		/* As version 2 was often written. */
		skip(&vector, 1);
		vector.n--;
	}
	if (version.n > 0 && !span_is(version, "3.0") &&
	    !span_is(version, "3.1") && !span_is(version, "4.0") &&
	    !span_is(version, "2.0"))
		return (RC_UNSUPPORTED);
	if (!metrics_read(vector, &m))
		return (RC_INVALID);
	if (span_is(version, "4.0"))
		return (read4(&m, severity_r));
	if (version.n == 0 || span_is(version, "2.0")) {
		if ((rc = read2(&m, score_r)) == RC_OK)
			*severity_r = severity2(*score_r);
		return (rc);
	}
	if ((rc = read3(&m, score_r)) == RC_OK)
		*severity_r = cvss_severity(*score_r);
	return (rc);
}

enum severity
severity_of_words(struct span text)
{
	static const struct {
		const char *word;
		enum severity severity;
	} words[] = {
		{ "critical", SEVERITY_CRITICAL },
		{ "high", SEVERITY_HIGH },
		{ "important", SEVERITY_HIGH },
		{ "medium", SEVERITY_MEDIUM },
		{ "moderate", SEVERITY_MEDIUM },
		{ "low", SEVERITY_LOW },
		{ "negligible", SEVERITY_INFORMATIONAL },
		{ "unimportant", SEVERITY_INFORMATIONAL },
		{ "informational", SEVERITY_INFORMATIONAL },
		{ "none", SEVERITY_INFORMATIONAL },
	};
	size_t i;

	text = span_trim(text);
	/* Debian marks what was not decided by hand: "low**". */
	while (text.n > 0 && text.p[text.n - 1] == '*')
		text.n--;
	for (i = 0; i < ARRAY_LEN(words); i++)
		if (span_eq_nocase(text, span_of(words[i].word)))
			return (words[i].severity);
	return (SEVERITY_UNDEFINED);
}
