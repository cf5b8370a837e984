using System.Collections.Frozen;
using Postwright.Core.Configuration;

namespace Postwright.Server.Cleanup;

/// <summary>cleanup's settings, read once; a reload makes new ones.</summary>
public sealed record CleanupSettings
{
    /// <summary>myhostname: the right side of generated Message-Ids.</summary>
    public required string MyHostName { get; init; }

    /// <summary>message_size_limit in bytes, 0 for none. smtpd counts for itself; this is for maildrop.</summary>
    public long MessageSizeLimit { get; init; } = 10240000;

    /// <summary>hopcount_limit: a message with so many Received: headers is in a loop.</summary>
    public int HopCountLimit { get; init; } = 50;

    /// <summary>header_size_limit in bytes: what is longer loses its end, so that one header cannot take the memory.</summary>
    public int HeaderSizeLimit { get; init; } = 102400;

    /// <summary>duplicate_filter_limit: so many recipients are compared; 0 for no filter.</summary>
    public int DuplicateFilterLimit { get; init; } = 1000;

    /// <summary>always_add_missing_headers: complete mail from elsewhere too.</summary>
    public bool AlwaysAddMissingHeaders { get; init; }

    /// <summary>undisclosed_recipients_header; empty for none.</summary>
    public string UndisclosedRecipientsHeader { get; init; } = "";

    /// <summary>cleanup_replace_stray_cr_lf: a CR that ends no line becomes a blank, against smuggling on the way out.</summary>
    public bool ReplaceStrayCr { get; init; } = true;

    /// <summary>message_drop_headers, lower case.</summary>
    public FrozenSet<string> DropHeaders { get; init; } = FrozenSet.ToFrozenSet(["bcc", "content-length", "resent-bcc", "return-path"]);

    /// <summary>mail_name, for the name of notices and generated senders.</summary>
    public string MailName { get; init; } = "Postfix";

    /// <summary>enable_original_recipient: duplicates are told apart by their original address too.</summary>
    public bool EnableOriginalRecipient { get; init; } = true;

    /// <summary>Reads the settings.</summary>
    public static CleanupSettings From(MailConfiguration configuration) => new()
    {
        MyHostName = configuration.GetString("myhostname"),
        MessageSizeLimit = configuration.GetLong("message_size_limit"),
        HopCountLimit = configuration.GetInt("hopcount_limit"),
        HeaderSizeLimit = configuration.GetInt("header_size_limit"),
        DuplicateFilterLimit = configuration.GetInt("duplicate_filter_limit"),
        AlwaysAddMissingHeaders = configuration.GetBool("always_add_missing_headers"),
        UndisclosedRecipientsHeader = configuration.GetString("undisclosed_recipients_header"),
        ReplaceStrayCr = configuration.GetBool("cleanup_replace_stray_cr_lf"),
        DropHeaders = configuration.GetList("message_drop_headers").Select(static name => name.ToLowerInvariant()).ToFrozenSet(),
        MailName = configuration.GetString("mail_name"),
        EnableOriginalRecipient = configuration.GetBool("enable_original_recipient"),
    };
}
