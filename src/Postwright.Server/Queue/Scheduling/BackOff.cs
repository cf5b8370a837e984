namespace Postwright.Server.Queue.Scheduling;

/// <summary>When a message is tried again, and when its sender is told of the delay. Pure.</summary>
internal static class BackOff
{
    /// <summary>
    /// The pause before the next attempt: as long as the message has waited already, within
    /// <paramref name="minimal"/> and <paramref name="maximal"/>.
    /// </summary>
    public static TimeSpan Delay(TimeSpan age, TimeSpan minimal, TimeSpan maximal)
    {
        TimeSpan delay = age > maximal ? maximal : age;
        return delay < minimal ? minimal : delay;
    }

    /// <summary>How many of <paramref name="ages"/> (ascending, each above zero) a message of that age has reached.</summary>
    public static int WarningsDue(TimeSpan age, IReadOnlyList<TimeSpan> ages)
    {
        int due = 0;
        while (due < ages.Count && age >= ages[due])
        {
            due++;
        }

        return due;
    }
}
