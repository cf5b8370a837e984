using Postwright.Core.Configuration;
using Postwright.Core.Records;

namespace Postwright.Commands.Shared;

/// <summary>
/// Which configuration directory a command uses: its option, else MAIL_CONFIG, else /etc/postfix. A program that lends its
/// group to the caller must not read a directory of the caller's choice: one that the default main.cf names in
/// alternate_config_directories or multi_instance_directories is accepted, any other refused. A program
/// without privileges of its own, or run by root, takes any.
/// </summary>
internal static class ConfigurationChoice
{
    /// <summary>Where the default instance's configuration is.</summary>
    public const string DefaultDirectory = "/etc/postfix";

    /// <summary>Loads the configuration; null after a fatal message.</summary>
    /// <param name="option">-c or -C, or null.</param>
    /// <param name="messages">Where errors go.</param>
    /// <param name="status">The exit status if null is given.</param>
    public static MailConfiguration? Load(string? option, CommandMessages messages, out int status) =>
        Load(option, ProcessIdentity.LendsPrivileges, DefaultDirectory, messages, out status);

    internal static MailConfiguration? Load(string? option, bool lendsPrivileges, string defaultDirectory, CommandMessages messages, out int status)
    {
        status = 0;
        string directory = DirectoryOf(option, defaultDirectory);
        if (directory != defaultDirectory && lendsPrivileges && !IsAuthorized(directory, defaultDirectory))
        {
            messages.Error($"unauthorized configuration directory name: {directory}");
            status = messages.Fatal($"specify \"alternate_config_directories = {directory}\" or \"multi_instance_directories = {directory}\" in {defaultDirectory}/main.cf");
            return null;
        }

        if (ConfigurationFile.WhyUnreadable(ConfigurationFile.In(directory, "main.cf")) is { } unreadable)
        {
            status = messages.Fatal(unreadable);
            return null;
        }

        MailConfiguration configuration = MailConfiguration.Load(directory);
        if (CommonParameters.WhyUnusable(configuration, messages.Warning) is { } reason)
        {
            status = messages.Fatal(reason);
            return null;
        }

        return configuration;
    }

    /// <summary>
    /// The directory that is meant, whether it may be used or not. The empty name, as of a script whose variable is not set, is
    /// the root directory, where there is no main.cf; neither the current directory nor the default one was meant.
    /// </summary>
    public static string DirectoryOf(string? option, string defaultDirectory = DefaultDirectory)
        => option ?? Environment.GetEnvironmentVariable("MAIL_CONFIG") ?? defaultDirectory;

    private static bool IsAuthorized(string directory, string defaultDirectory)
    {
        MailConfiguration trusted = MailConfiguration.Load(defaultDirectory);
        return trusted.GetList("alternate_config_directories").Contains(directory)
            || trusted.GetList("multi_instance_directories").Contains(directory);
    }
}
