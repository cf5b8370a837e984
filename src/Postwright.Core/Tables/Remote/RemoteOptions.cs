using System.Globalization;
using Postwright.Core.Configuration;

namespace Postwright.Core.Tables.Remote;

// What may stand in braces behind a remote table's name: "ldap:/etc/postfix/users.cf{ttl=30s, timeout=5s, connections=4}".
// Postfix has nothing of the kind, so nothing of it is on unless it is written.

/// <summary>How a remote table is used, whatever its protocol.</summary>
internal sealed record RemoteOptions
{
    /// <summary>
    /// Connections that a table opens at most. A database that takes 8 queries at a time answers some thousands of lookups a
    /// second; Postfix would open one per process, 100 and more.
    /// </summary>
    public const int DefaultConnections = 8;

    /// <summary>How long an answer (found or not found) counts without asking again; zero asks every time.</summary>
    public TimeSpan Ttl { get; init; }

    /// <summary>The longest lookup, connecting and every retry within it; null for the type's own.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Connections at most.</summary>
    public int Connections { get; init; } = DefaultConnections;

    /// <summary>Parts <c>name{options}</c>; false and the reason when the options cannot be read.</summary>
    public static bool TryParse(string text, out string name, out RemoteOptions options, out string? error)
    {
        name = text;
        options = new RemoteOptions();
        error = null;
        int brace = text.EndsWith('}') ? text.LastIndexOf('{') : -1;
        if (brace < 0)
        {
            return true;
        }

        name = text[..brace];
        foreach (string item in BraceList.Split(text[(brace + 1)..^1]))
        {
            if (BraceList.NameValue(item, out error) is not { } pair)
            {
                error = $"{error} in \"{text[brace..]}\"";
                return false;
            }

            if (Set(options, pair.Name, pair.Value) is not { } changed)
            {
                error = $"bad option \"{item}\": need ttl=time, timeout=time or connections=1..1000";
                return false;
            }

            options = changed;
        }

        return true;
    }

    private static RemoteOptions? Set(RemoteOptions options, string name, string value) => name switch
    {
        "ttl" when TimeValue.TryParse(value, 's', out TimeSpan ttl) => options with { Ttl = ttl },
        "timeout" when TimeValue.TryParse(value, 's', out TimeSpan timeout) && timeout > TimeSpan.Zero => options with { Timeout = timeout },
        "connections" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count is >= 1 and <= 1000
            => options with { Connections = count },
        _ => null,
    };
}
