namespace Postwright.Server.Deliver.Local;

/// <summary>What kind of thing a member of an alias or .forward is.</summary>
internal enum MemberKind
{
    /// <summary>An address: becomes a recipient of its own.</summary>
    Address,

    /// <summary><c>|command</c>.</summary>
    Command,

    /// <summary><c>/file</c> or <c>/maildir/</c>.</summary>
    File,

    /// <summary>An <c>:include:</c> that could not be read; its outcome stands in the member.</summary>
    Failed,
}

/// <summary>Whose rights a command or file gets.</summary>
/// <param name="Uid">The user.</param>
/// <param name="Gid">The user's primary group.</param>
/// <param name="User">For HOME and SHELL; null where no user is behind it (default_privs).</param>
internal sealed record DeliveryRights(uint Uid, uint Gid, Core.Seams.UserEntry? User);

/// <summary>One member of an expansion.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">The address, the command without its bar, the path, or the <c>:include:</c>.</param>
/// <param name="Source">Where it stood.</param>
/// <param name="Rights">For commands and files; null for default_privs.</param>
/// <param name="Failure">For <see cref="MemberKind.Failed"/>.</param>
internal sealed record Member(MemberKind Kind, string Text, ExpansionSource Source, DeliveryRights? Rights, FileOutcome Failure = default)
{
    /// <summary>How a recipient names this member in its Via: as it stands in the alias.</summary>
    public string Key => Kind == MemberKind.Command ? "|" + Text : Text;
}

/// <summary>
/// What a name expands to: each member once, in order. Bounded, since a list may include files of any size.
/// </summary>
internal sealed class Expansion
{
    /// <summary>More members than any mailing list that is kept in a file; one expansion must fit into one answer.</summary>
    public const int MemberLimit = 100_000;

    private readonly HashSet<string> _seen = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<Member> _members = [];

    public IReadOnlyList<Member> Members => _members;

    /// <summary>There were more than the limit: the delivery is deferred, nothing is left out.</summary>
    public bool IsTooLarge { get; private set; }

    public void Add(Member member)
    {
        if (_members.Count >= MemberLimit)
        {
            IsTooLarge = true;
        }
        else if (_seen.Add(member.Key))
        {
            _members.Add(member);
        }
    }
}
