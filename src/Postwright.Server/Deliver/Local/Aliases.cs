using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// alias_maps: the full local part first, then the name without extension, each in all tables. Commands and files of a table get
/// the rights of its file's owner, default_privs where that is root. An <c>owner-</c> alias beside it becomes the sender.
/// </summary>
internal static class Aliases
{
    /// <summary>Expands the recipient if it is an alias; null if it is none.</summary>
    public static RecipientResult? Deliver(LocalContext context)
    {
        RecipientParts parts = context.Parts;
        return Deliver(context, parts.Local, null) ?? (parts.Extension is null ? null : Deliver(context, parts.User, parts.Extension));
    }

    private static RecipientResult? Deliver(LocalContext context, string name, string? unmatched)
    {
        // An alias that lists its own name means the user.
        if (context.Via.LastName(context.Options) is { } last && (last.Local == name || last.User == name))
        {
            return null;
        }

        (ILookupTable? table, LookupResult found) = Find(context, name);
        if (found.Status == LookupStatus.TemporaryError)
        {
            context.Log.Warning($"{table?.Name}: lookup of '{name}' failed");
            return context.Defer("4.3.0", "alias database unavailable");
        }

        if (!found.IsFound || table is null)
        {
            return null;
        }

        if (context.Via.CameThrough(name, context.Options))
        {
            context.Log.Warning($"{context.Request.QueueId}: alias database loop for {name}");
            return context.Bounce("5.4.6", $"alias database loop for {name}");
        }

        if (!TryFindOwner(context, table, out DeliveryRights? rights))
        {
            return context.Defer("4.3.0", "cannot find alias database owner");
        }

        (string? owner, RecipientResult? unavailable) = OwnerOf(context, name);
        if (unavailable is not null)
        {
            return unavailable;
        }

        var expander = new Expander(context);
        expander.Add(found.Value, ExpansionSource.Alias, rights);
        if ((table.IsRemote || (table.MatchesWholeKeysOnly && IsPattern(table.Name))) && expander.Expansion.Members.Any(one => one.Kind != MemberKind.Address))
        {
            // A pattern could put what a stranger wrote into a command; a server may be a stranger's.
            context.Log.Warning($"{context.Request.QueueId}: {table.Name}: commands, files and includes are not allowed here");
            return context.Defer("4.3.0", "alias database unavailable");
        }

        if (expander.Expansion.Members.Count == 0)
        {
            context.Log.Warning($"{context.Request.QueueId}: no recipient in alias lookup result for {name}");
            return context.Defer("4.3.5", "mail system configuration error");
        }

        return MemberDelivery.Deliver(context, new ExpansionStep(expander.Expansion, owner is null ? 'a' : 'o', owner, unmatched));
    }

    private static (ILookupTable? Table, LookupResult Result) Find(LocalContext context, string name)
    {
        foreach (ILookupTable table in context.Options.AliasMaps)
        {
            LookupResult result = TableLookup.Wait(table.LookupAsync(name, context.CancellationToken));
            if (result.Status != LookupStatus.NotFound)
            {
                return (table, result);
            }
        }

        return (null, LookupResult.NotFound);
    }

    private static (string? Owner, RecipientResult? Unavailable) OwnerOf(LocalContext context, string name)
    {
        if (!context.Options.AddressOptions.OwnerRequestSpecial)
        {
            return (null, null);
        }

        (_, LookupResult found) = Find(context, "owner-" + name);
        if (found.Status == LookupStatus.TemporaryError)
        {
            return (null, context.Defer("4.3.0", "alias database unavailable"));
        }

        string text = context.Options.ExpandOwnerAlias ? MemberText.Split(found.Value ?? "").FirstOrDefault() ?? "" : "owner-" + name;
        return found.IsFound && text.Length > 0
            ? (text.Contains('@') ? text : $"{text}@{context.Options.MyOrigin}", null)
            : (null, null);
    }

    // Tables in files belong to the file's owner; the others are written in main.cf, which is root's.
    private static bool TryFindOwner(LocalContext context, ILookupTable table, out DeliveryRights? rights)
    {
        rights = null;
        if (table.IsRemote)
        {
            // It gives addresses only.
            return true;
        }

        int colon = table.Name.IndexOf(':', StringComparison.Ordinal);
        string path = colon < 0 ? "" : table.Name[(colon + 1)..];
        if (!path.StartsWith('/'))
        {
            return true;
        }

        if (DeliveryFile.Stat(table.Name[..colon] is "hash" or "btree" ? path + ".db" : path, out FileFacts facts) < 0)
        {
            context.Log.Warning($"{context.Request.QueueId}: cannot find alias database owner for {table.Name}");
            return false;
        }

        if (facts.Uid == 0)
        {
            return true;
        }

        _ = context.Host.FindUser(facts.Uid, out UserEntry? owner);
        if (owner is null)
        {
            context.Log.Warning($"{context.Request.QueueId}: cannot find alias database owner for {table.Name}");
            return false;
        }

        rights = new DeliveryRights(owner.Uid, owner.Gid, owner);
        return true;
    }

    private static bool IsPattern(string table)
        => table.StartsWith("regexp:", StringComparison.Ordinal) || table.StartsWith("pcre:", StringComparison.Ordinal);
}
