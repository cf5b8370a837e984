using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// Collects the members of a right-hand side, following <c>:include:</c> files. An included file is read with the rights of
/// whoever named it; its own commands and files get its owner's rights. A file that includes itself, or goes too deep, ends
/// there with an error.
/// </summary>
internal sealed class Expander(LocalContext context)
{
    // Postfix limits nesting by its recursion limit of 100; twenty files inside each other are a mistake already.
    private const int IncludeDepth = 20;
    private const int IncludeSizeLimit = 16 * 1024 * 1024;
    private readonly Expansion _expansion = new();

    /// <summary>The members so far.</summary>
    public Expansion Expansion => _expansion;

    /// <summary>Adds the members of one text.</summary>
    /// <param name="text">A right-hand side, or a line.</param>
    /// <param name="source">Where it stands.</param>
    /// <param name="rights">Whose rights its commands and files get; null for default_privs.</param>
    public void Add(string text, ExpansionSource source, DeliveryRights? rights) => Add(text, source, rights, []);

    /// <summary>Adds the members of a file's lines; those that begin with # are comments.</summary>
    public void AddLines(string text, ExpansionSource source, DeliveryRights? rights) => AddLines(text, source, rights, []);

    private void AddLines(string text, ExpansionSource source, DeliveryRights? rights, IReadOnlyList<(ulong, ulong)> open)
    {
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (!line.StartsWith("#"))
            {
                Add(line.ToString(), source, rights, open);
            }
        }
    }

    private void Add(string text, ExpansionSource source, DeliveryRights? rights, IReadOnlyList<(ulong Device, ulong Inode)> open)
    {
        foreach (string member in MemberText.Split(text))
        {
            if (_expansion.IsTooLarge)
            {
                return;
            }

            if (MemberText.IsInclude(member))
            {
                Include(member, rights, open);
                continue;
            }

            (MemberKind kind, string value) = member switch
            {
                ['|', ..] => (MemberKind.Command, member[1..].Trim()),
                ['/', ..] => (MemberKind.File, member),
                _ => (MemberKind.Address, Complete(member)),
            };
            _expansion.Add(new Member(kind, value, source, rights));
        }
    }

    // A name alone is a user of $myorigin.
    private string Complete(string address) => address switch
    {
        "" => "MAILER-DAEMON@" + context.Options.MyOrigin,
        _ when address.Contains('@') => address,
        _ => address + "@" + context.Options.MyOrigin,
    };

    private void Include(string member, DeliveryRights? rights, IReadOnlyList<(ulong Device, ulong Inode)> open)
    {
        string path = member[":include:".Length..].Trim();
        if (path.StartsWith('"') && path.EndsWith('"') && path.Length > 1)
        {
            path = path[1..^1];
        }

        if (!path.StartsWith('/'))
        {
            Fail(member, $":include:{path} uses a relative path", 0);
            return;
        }

        int result = Read(path, rights, out string text, out FileFacts facts, out string trouble);
        if (result < 0 || trouble.Length > 0)
        {
            Fail(member, trouble, result);
            return;
        }

        if (open.Count >= IncludeDepth || open.Contains((facts.Device, facts.Inode)))
        {
            Fail(member, $":include: file {path} includes itself, or is nested too deeply", 0);
            return;
        }

        DeliveryRights? own = null;
        if (facts.Uid != 0)
        {
            HostLookup lookup = context.Host.FindUser(facts.Uid, out UserEntry? owner);
            if (owner is null)
            {
                Fail(member, $":include:{path}: cannot find :include: file owner username", lookup == HostLookup.Unavailable ? -Errno.TryAgain : 0);
                return;
            }

            own = new DeliveryRights(owner.Uid, owner.Gid, owner);
        }

        AddLines(text, ExpansionSource.Include, own, [.. open, (facts.Device, facts.Inode)]);
    }

    private int Read(string path, DeliveryRights? rights, out string text, out FileFacts facts, out string trouble)
    {
        text = "";
        facts = default;
        DeliveryRights reader = rights ?? DefaultPrivs.Find(context) ?? new DeliveryRights(Identity.EffectiveUser, Identity.EffectiveGroup, null);
        using (DeliveryIdentity.Assume(reader.Uid, reader.Gid, out bool assumed))
        {
            // Without root everything is read as what we are.
            _ = assumed;
            int descriptor = DeliveryFile.Open(path, OpenFlags.ReadOnly | OpenFlags.NonBlocking);
            if (descriptor < 0)
            {
                trouble = $"unable to lookup :include: file {path}: {DeliveryFile.ErrorText(descriptor)}";
                return descriptor;
            }

            try
            {
                int result = DeliveryFile.Stat(descriptor, out facts);
                trouble = result < 0 ? $"unable to lookup :include: file {path}: {DeliveryFile.ErrorText(result)}"
                    : !facts.IsRegular ? $":include: file {path} is not a regular file"
                    : (facts.Mode & 0x2) != 0 ? $":include: file {path} is world writable"
                    : "";
                if (trouble.Length == 0)
                {
                    result = DeliveryFile.ReadAll(descriptor, IncludeSizeLimit, out text);
                    trouble = result < 0 ? $"error reading forwarding file: {DeliveryFile.ErrorText(result)}" : "";
                }

                return result;
            }
            finally
            {
                _ = DeliveryFile.Close(descriptor);
            }
        }
    }

    // Postfix bounces whatever is wrong with an included file; what may pass by itself is deferred here.
    private void Fail(string member, string trouble, int result)
    {
        context.Log.Warning($"{context.Request.QueueId}: {trouble}");
        string dsn = FileOutcome.Failed(result, "5.3.5", "").Dsn[0] == '4' ? "4.3.5" : "5.3.5";
        _expansion.Add(new Member(
            MemberKind.Failed, member, ExpansionSource.Include, null, new FileOutcome(dsn, "mail system configuration error")));
    }
}
