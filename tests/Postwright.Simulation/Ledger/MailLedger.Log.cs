using System.Globalization;
using Postwright.Core.Logging;
using Postwright.Simulation.World;

namespace Postwright.Simulation.Ledger;

internal sealed partial class MailLedger
{
    /// <summary>Damage was reported: what the disk lost to rot is no silent loss.</summary>
    public bool DamageReported { get; private set; }

    /// <summary>Reads a log line as an administrator's tools would.</summary>
    public void Log(Life life, LogLevel level, string tag, string text)
    {
        if (level == LogLevel.Panic || (level == LogLevel.Fatal && !text.Contains("open queue", StringComparison.Ordinal)))
        {
            Fail($"the log says: {tag}: {text}");
        }

        if (level == LogLevel.Warning && (text.Contains("damaged", StringComparison.Ordinal) || text.Contains("corrupt", StringComparison.Ordinal)))
        {
            DamageReported = true;
        }

        if (level == LogLevel.Warning && text.StartsWith("spool: ", StringComparison.Ordinal) && text.Contains("No such file or directory", StringComparison.Ordinal))
        {
            Fail($"the spool takes a file for there that is not: {text}");
        }

        int colon = text.IndexOf(": ", StringComparison.Ordinal);
        if (level != LogLevel.Info || colon <= 0 || text.AsSpan(0, colon).Contains(' '))
        {
            return;
        }

        string id = text[..colon];
        ReadOnlySpan<char> rest = text.AsSpan(colon + 2);
        if (rest.StartsWith("client=", StringComparison.Ordinal))
        {
            CopyOf(id).Origin = CopyOrigin.Client;
        }
        else if (rest.StartsWith("uid=", StringComparison.Ordinal) && Between(text, "orig_id=", "") is { } old)
        {
            Copy copy = CopyOf(id);
            (copy.Origin, copy.Parent) = (CopyOrigin.Requeue, old);
        }
        else if (rest.StartsWith("uid=", StringComparison.Ordinal))
        {
            CopyOf(id).Origin = CopyOrigin.Client;
        }
        else if (rest.StartsWith("message-id=<sim-", StringComparison.Ordinal))
        {
            Origin(CopyOf(id), text);
        }
        else if (Between(text, " notification: ", "") is { } notice)
        {
            Copy copy = CopyOf(notice);
            (copy.Origin, copy.Parent) = (CopyOrigin.Notice, id);
        }
        else if (rest.StartsWith("from=<", StringComparison.Ordinal) && text.EndsWith("expired, returned to sender", StringComparison.Ordinal))
        {
            CopyOf(id).IsExpired = true;
        }
        else if (rest.StartsWith("to=<", StringComparison.Ordinal))
        {
            Result(CopyOf(id), tag, text);
        }
    }

    private void Origin(Copy copy, string text)
    {
        string[] words = Between(text, "message-id=<sim-", "@")!.Split('-');
        (int, int) key = (int.Parse(words[0], CultureInfo.InvariantCulture), int.Parse(words[1], CultureInfo.InvariantCulture));
        copy.Transaction = _transactions.GetValueOrDefault(key);
        if (copy.Origin == CopyOrigin.Unknown)
        {
            copy.Origin = CopyOrigin.Forward;
        }
    }

    private void Result(Copy copy, string tag, string text)
    {
        string address = Between(text, "to=<", ">")!;
        if (text.Contains("status=sent", StringComparison.Ordinal) && copy.Effects.FindLast(effect => effect.Address == address) is { } effect)
        {
            effect.LoggedAt = world.Scheduler.Now;
        }

        if (text.Contains("status=bounced", StringComparison.Ordinal))
        {
            copy.Bounced.Add(address);
        }
        else if (tag.EndsWith("/discard", StringComparison.Ordinal) || text.Contains("notification discarded", StringComparison.Ordinal))
        {
            copy.Discarded.Add(address);
        }
        else if (Between(text, "(forwarded as ", ")") is { } ids)
        {
            foreach (string id in ids.Split(", "))
            {
                copy.ForwardedAs.Add(id);
            }
        }
    }

    /// <summary>The text between two others; up to the end, or the next blank, where the second is empty.</summary>
    private static string? Between(string text, string before, string after)
    {
        int at = text.IndexOf(before, StringComparison.Ordinal);
        if (at < 0)
        {
            return null;
        }

        at += before.Length;
        int end = text.IndexOf(after.Length == 0 ? " " : after, at, StringComparison.Ordinal);
        return end < 0 ? text[at..] : text[at..end];
    }
}
