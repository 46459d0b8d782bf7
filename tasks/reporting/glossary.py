"""The report's words, one line each."""

GLOSSARY = (
    (
        "Alarm",
        "Opens at the row that completes the persistence rule (by default two of three above the threshold); closes after five quiet ones.",
    ),
    (
        "AUC-PR, VUS-PR",
        "Area (volume, over several buffer lengths) under precision and recall, over all thresholds. Read them beside the random row.",
    ),
    ("Back to normal", "From this moment on the fault's witness and its callers stay inside their normal band."),
    ("Bound a day", "No alarm in T days bounds the rate at 3/T a day (95 %). A short calibration cannot promise a small rate."),
    (
        "Benign change",
        "A rollout of the same image, pods added for a while: work of every day. An alarm at it is no detection, and is counted by itself.",
    ),
    (
        "Degraded",
        "A second in which the load generator, the telemetry or the machine itself fell short. It leaves training and is scored apart.",
    ),
    ("Delay", "From the acknowledgement of the fault to the opening of the alarm. Misses count as “later than the window”."),
    (
        "False alarm",
        "An alarm in time of no fault and no benign change, placebos included. Rates count blocks of time, so an endless alarm is many.",
    ),
    ("Floor", "A detector that knows nothing: random scores, the length of the row, a constant. What does not beat it shows nothing."),
    ("Hurt users", "The fault took, and errors, latency or throughput as users or direct callers see them left their reference."),
    ("In alarm", "Share of fault-free time that a detector spent in alarm."),
    (
        "Load changes",
        "False alarms a day on ramps and steps of the planned users, over those under steady load. Near 1: such changes do not trouble it.",
    ),
    ("Masked", "The alarm was open already when the fault began, so it cannot have noticed it. Counts as missed."),
    ("Placebo", "A trial that walks the fault's whole path, journal, guard and revert included, and changes nothing."),
    ("Recording", "One uninterrupted deployment of the application under load. Training, calibration and faults are different ones."),
    ("Threshold", "From the calibration recording and the budget of false alarms alone; no fault was looked at."),
    ("Void", "The fault's witness did not move: it was not injected. Such a trial is not counted for anybody."),
    ("Witness", "The metric that must move if the fault took. No detector's score is asked."),
)
