using Postwright.Core.Configuration;
using Postwright.Core.Tables;

namespace Postwright.Server.Deliver.Local;

/// <summary>What may order a command or a file: the values of allow_mail_to_commands and allow_mail_to_files.</summary>
[Flags]
public enum ExpansionSource
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>alias_maps.</summary>
    Alias = 1,

    /// <summary>A user's .forward.</summary>
    Forward = 2,

    /// <summary>A file that an alias or .forward includes.</summary>
    Include = 4,
}

/// <summary>The settings of local(8), read once. Names are main.cf's.</summary>
internal sealed record LocalOptions
{
    public required string MyOrigin { get; init; }

    /// <summary>recipient_delimiter, owner_request_special and double_bounce_sender.</summary>
    public AddressFinderOptions AddressOptions { get; init; } = new();

    public string MailSpoolDirectory { get; init; } = "/var/mail";

    public string HomeMailbox { get; init; } = "";

    /// <summary>Unexpanded.</summary>
    public string MailboxCommand { get; init; } = "";

    /// <summary>Each element unexpanded.</summary>
    public IReadOnlyList<string> ForwardPath { get; init; } = ["$home/.forward${recipient_delimiter}${extension}", "$home/.forward"];

    /// <summary>Unexpanded; empty for none.</summary>
    public string LuserRelay { get; init; } = "";

    /// <summary>Unexpanded; empty for the queue directory.</summary>
    public string CommandExecutionDirectory { get; init; } = "";

    public string CommandExpansionFilter { get; init; } = DefaultFilter;

    public string ForwardExpansionFilter { get; init; } = DefaultFilter;

    public string ExecutionDirectoryExpansionFilter { get; init; } = DefaultFilter;

    public TimeSpan CommandTimeLimit { get; init; } = TimeSpan.FromSeconds(1000);

    /// <summary>local_command_shell: used for every command when set.</summary>
    public string CommandShell { get; init; } = "";

    /// <summary>The program that becomes a command (<see cref="Core.Posix.SpawnAs"/>): this one.</summary>
    public string Launcher { get; init; } = "/proc/self/exe";

    public IReadOnlyList<string> ExportEnvironment { get; init; } = ["TZ", "MAIL_CONFIG", "LANG"];

    public string QueueDirectory { get; init; } = "/";

    public string DefaultPrivs { get; init; } = "nobody";

    public IReadOnlyList<ILookupTable> AliasMaps { get; init; } = [];

    public bool ExpandOwnerAlias { get; init; }

    public ExpansionSource MailToCommands { get; init; } = ExpansionSource.Alias | ExpansionSource.Forward;

    public ExpansionSource MailToFiles { get; init; } = ExpansionSource.Alias | ExpansionSource.Forward;

    /// <summary>Which of alias, forward and include hand the address extension on (propagate_unmatched_extensions).</summary>
    public ExpansionSource PropagateExtensions { get; init; }

    public bool PrependToCommand { get; init; } = true;

    public bool PrependToFile { get; init; } = true;

    public bool PrependToForward { get; init; } = true;

    public bool FrozenDeliveredTo { get; init; } = true;

    public bool EnableOriginalRecipient { get; init; } = true;

    public bool StrictMailboxOwnership { get; init; } = true;

    public bool RequireHomeDirectory { get; init; }

    /// <summary>Ours: a group-writable .forward or home is refused too.</summary>
    public bool StrictForwardPermissions { get; init; }

    public long MailboxSizeLimit { get; init; } = 51_200_000;

    public LockOptions Locks { get; init; } = new(true, false, true, 20, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(500));

    private const string DefaultFilter = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    /// <summary>Reads the settings, <c>-o</c> overrides of the service's row already on top.</summary>
    public static LocalOptions From(MailConfiguration configuration, TableRegistry tables, string? launcher = null)
    {
        IReadOnlyList<string> prepend = configuration.GetList("prepend_delivered_header");
        return new LocalOptions
        {
            Launcher = launcher ?? "/proc/self/exe",
            MyOrigin = configuration.GetString("myorigin"),
            AddressOptions = Addresses(configuration),
            MailSpoolDirectory = configuration.GetString("mail_spool_directory"),
            HomeMailbox = configuration.GetString("home_mailbox"),
            MailboxCommand = configuration.GetUnexpanded("mailbox_command"),
            ForwardPath = ConfigurationList.Split(configuration.GetUnexpanded("forward_path")),
            LuserRelay = configuration.GetUnexpanded("luser_relay"),
            CommandExecutionDirectory = configuration.GetUnexpanded("command_execution_directory"),
            CommandExpansionFilter = configuration.GetString("command_expansion_filter"),
            ForwardExpansionFilter = configuration.GetString("forward_expansion_filter"),
            ExecutionDirectoryExpansionFilter = configuration.GetString("execution_directory_expansion_filter"),
            CommandTimeLimit = configuration.GetTime("command_time_limit"),
            CommandShell = configuration.GetString("local_command_shell"),
            ExportEnvironment = configuration.GetList("export_environment"),
            QueueDirectory = configuration.GetString("queue_directory"),
            DefaultPrivs = configuration.GetString("default_privs"),
            AliasMaps = [.. configuration.GetList("alias_maps").Select(name => tables.Open(WithoutProxy(name), TableSecurity.Aliases))],
            ExpandOwnerAlias = configuration.GetBool("expand_owner_alias"),
            MailToCommands = Sources(configuration.GetList("allow_mail_to_commands")),
            MailToFiles = Sources(configuration.GetList("allow_mail_to_files")),
            PropagateExtensions = Sources(configuration.GetList("propagate_unmatched_extensions")),
            PrependToCommand = prepend.Contains("command"),
            PrependToFile = prepend.Contains("file"),
            PrependToForward = prepend.Contains("forward"),
            FrozenDeliveredTo = configuration.GetBool("frozen_delivered_to"),
            EnableOriginalRecipient = configuration.GetBool("enable_original_recipient"),
            StrictMailboxOwnership = configuration.GetBool("strict_mailbox_ownership"),
            RequireHomeDirectory = configuration.GetBool("require_home_directory"),
            StrictForwardPermissions = configuration.GetBool("strict_forward_permissions"),
            MailboxSizeLimit = configuration.GetLong("mailbox_size_limit"),
            Locks = LockOptions.From(
                configuration.GetList("mailbox_delivery_lock"),
                configuration.GetInt("deliver_lock_attempts"),
                configuration.GetTime("deliver_lock_delay"),
                configuration.GetTime("stale_lock_time")),
        };
    }

    /// <summary>How addresses are split, for local and virtual alike.</summary>
    public static AddressFinderOptions Addresses(MailConfiguration configuration) => new()
    {
        RecipientDelimiter = configuration.GetString("recipient_delimiter"),
        OwnerRequestSpecial = configuration.GetBool("owner_request_special"),
        DoubleBounceSender = configuration.GetString("double_bounce_sender"),
    };

    // The agent opens tables itself and silently passes by proxymap, as local(8) does for alias_maps.
    private static string WithoutProxy(string name)
        => name.StartsWith("proxy:", StringComparison.Ordinal) ? name["proxy:".Length..] : name;

    private static ExpansionSource Sources(IReadOnlyList<string> names)
        => (names.Contains("alias") ? ExpansionSource.Alias : 0)
            | (names.Contains("forward") ? ExpansionSource.Forward : 0)
            | (names.Contains("include") ? ExpansionSource.Include : 0);
}
